//! What one execution may use: defaults, maxima, and the check of what was asked for.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// One mebibyte.
pub const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// What one execution may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Memory of the program and its temporary files, in bytes.
    pub memory: u64,
    /// Processor time per time, in thousandths of a processor.
    pub cpu_millis: u32,
    /// Processes and threads at one time.
    pub processes: u32,
    /// Everything in the workspace together, in bytes; also the largest single file.
    pub workspace: u64,
    /// Standard output and standard error together, in bytes.
    pub output: u64,
    /// From the program's start to its end, in milliseconds.
    pub time_millis: u64,
}

/// What the caller asks for; what is absent gets its default.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LimitsRequest {
    /// See [`Limits::memory`].
    pub memory: Option<u64>,
    /// See [`Limits::cpu_millis`].
    pub cpu_millis: Option<u32>,
    /// See [`Limits::processes`].
    pub processes: Option<u32>,
    /// See [`Limits::output`].
    pub output: Option<u64>,
    /// See [`Limits::time_millis`].
    pub time_millis: Option<u64>,
}

/// A limit asked for outside its range.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{name} must be from {least} to {most}, not {asked}")]
pub struct LimitRefused {
    /// Which limit.
    pub name: &'static str,
    /// The smallest value that still lets a program start.
    pub least: u64,
    /// The operator's maximum.
    pub most: u64,
    /// What was asked for.
    pub asked: u64,
}

impl Limits {
    /// What an execution gets that asks for nothing.
    pub const DEFAULT: Self = Self {
        memory: 512 * MIB,
        cpu_millis: 1_000,
        processes: 128,
        workspace: GIB,
        output: MIB,
        time_millis: 30_000,
    };

    /// What an execution can get at most.
    pub const MAXIMUM: Self = Self {
        memory: 8 * GIB,
        cpu_millis: 4_000,
        processes: 128,
        workspace: GIB,
        output: MIB,
        time_millis: 300_000,
    };

    /// Below these no interpreter starts, so that the refusal names the limit and not a crash.
    const MINIMUM: Self = Self {
        memory: 32 * MIB,
        cpu_millis: 50,
        processes: 8,
        workspace: MIB,
        output: 1,
        time_millis: 1,
    };

    /// These limits with what was asked for instead of their own values.
    ///
    /// # Errors
    /// When a value lies outside what is possible or above `maximum`: a request is not silently cut.
    pub fn with(self, asked: LimitsRequest, maximum: Self) -> Result<Self, LimitRefused> {
        let wide = Self {
            memory: asked.memory.unwrap_or(self.memory),
            cpu_millis: asked.cpu_millis.unwrap_or(self.cpu_millis),
            processes: asked.processes.unwrap_or(self.processes),
            workspace: self.workspace,
            output: asked.output.unwrap_or(self.output),
            time_millis: asked.time_millis.unwrap_or(self.time_millis),
        };
        wide.within(maximum)
    }

    /// These limits, if each is possible and none is above `maximum`.
    ///
    /// # Errors
    /// Names the first limit that is not.
    pub fn within(self, maximum: Self) -> Result<Self, LimitRefused> {
        let least = Self::MINIMUM;
        for (name, asked, least, most) in [
            ("memory", self.memory, least.memory, maximum.memory),
            (
                "cpu",
                self.cpu_millis.into(),
                least.cpu_millis.into(),
                maximum.cpu_millis.into(),
            ),
            (
                "processes",
                self.processes.into(),
                least.processes.into(),
                maximum.processes.into(),
            ),
            ("workspace", self.workspace, least.workspace, maximum.workspace),
            ("output", self.output, least.output, maximum.output),
            ("time", self.time_millis, least.time_millis, maximum.time_millis),
        ] {
            if asked < least || asked > most {
                return Err(LimitRefused {
                    name,
                    least,
                    most,
                    asked,
                });
            }
        }
        Ok(self)
    }

    /// [`Limits::time_millis`] as a duration.
    #[must_use]
    pub const fn time(&self) -> Duration {
        Duration::from_millis(self.time_millis)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absent_limits_are_the_defaults() {
        let limits = Limits::DEFAULT.with(LimitsRequest::default(), Limits::MAXIMUM);
        assert_eq!(limits, Ok(Limits::DEFAULT));
    }

    #[test]
    fn a_limit_is_taken_up_to_its_maximum_and_refused_above() {
        let ask = |time_millis| LimitsRequest {
            time_millis: Some(time_millis),
            ..Default::default()
        };
        let got = Limits::DEFAULT.with(ask(300_000), Limits::MAXIMUM).unwrap();
        assert_eq!(got.time(), Duration::from_secs(300));
        let refused = Limits::DEFAULT.with(ask(300_001), Limits::MAXIMUM).unwrap_err();
        assert_eq!(refused.to_string(), "time must be from 1 to 300000, not 300001");
    }

    #[test]
    fn zero_is_not_no_limit() {
        for asked in [
            LimitsRequest {
                memory: Some(0),
                ..Default::default()
            },
            LimitsRequest {
                cpu_millis: Some(0),
                ..Default::default()
            },
            LimitsRequest {
                processes: Some(0),
                ..Default::default()
            },
            LimitsRequest {
                output: Some(0),
                ..Default::default()
            },
            LimitsRequest {
                time_millis: Some(0),
                ..Default::default()
            },
        ] {
            assert!(Limits::DEFAULT.with(asked, Limits::MAXIMUM).is_err(), "{asked:?}");
        }
    }
}
