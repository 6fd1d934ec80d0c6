//! Rates the risk of a tool call by rule, so that what a person must look at never depends on what a model says.
//!
//! Rules are TOML, compiled once at load. Every rule that matches counts: the highest risk wins and all reasons
//! are kept for the approver, so the order of rules never lowers a risk. A call that no rule covers is `HIGH`.
//! Rules look at text; they do not run it. Someone who sets out to hide what code does can hide it from any
//! text rule, which is why `code_execute` is `HIGH` before any rule has looked at the code, and why the sandbox,
//! not this module, is what bounds the code.

mod classify;
mod compile;
mod fault;
mod hosts;
mod literals;
mod mix;
mod parse;
mod path;
mod rule;
mod scan;
mod url;

#[cfg(test)]
mod tests;

pub use classify::{RuleSet, Verdict};
pub use harombe_types::Risk;

pub use fault::{Faults, RuleFault};
pub use hosts::HostSet;
pub use mix::{MixCall, mix};
pub use rule::{Arg, Condition, Rule, Scalar, Test, UrlTrait};

/// The rules that ship inside the program.
pub const DEFAULT_RULES: &str = include_str!("risk/default.toml");
