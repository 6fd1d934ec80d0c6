//! Which operation a request is for.

use http::Method;

use crate::table::{Operation, Table};
use crate::template::{Captures, NotText};

/// What was found for a method and a path.
pub(crate) enum Found<'t> {
    Operation(&'t Operation, Result<Captures<'t>, NotText>),
    /// The path is there, with other methods.
    WrongMethod(Vec<&'t str>),
    Nothing,
}

impl Table {
    pub(crate) fn find(&self, method: &Method, path: &str) -> Found<'_> {
        let mut allowed = Vec::new();
        // The most exact come first.
        for operation in self.operations() {
            let Some(captures) = operation.template.matches(path) else {
                continue;
            };
            if operation.method == *method {
                return Found::Operation(operation, captures);
            }
            allowed.push(operation.method.as_str());
        }
        if allowed.is_empty() {
            return Found::Nothing;
        }
        allowed.sort_unstable();
        allowed.dedup();
        Found::WrongMethod(allowed)
    }
}
