//! Wires that are cut and mended while services use them, be they in this process or in others.
//!
//! The processes share a directory. While `cut` is there, a call passes only by taking away one of the files `pass-N`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use harombe::compose::Wire;
use harombe_error::{Code, Failure, Reason};
use harombe_rpc::{GrpcChannel, Tap};
use harombe_types::ServiceName;
use tempfile::TempDir;
use tonic::Status;

/// Cuts the wires to one service, until it is mended.
#[derive(Clone, Debug)]
pub struct Cut {
    ends: Ends,
    dir: Arc<TempDir>,
}

/// Which wires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Ends {
    /// Only the wire from this service, if it names one.
    from: Option<ServiceName>,
    to: ServiceName,
}

impl Cut {
    /// Not cut yet.
    ///
    /// # Panics
    /// When its directory cannot be made.
    #[must_use]
    pub fn to(to: ServiceName) -> Self {
        Self::of(Ends { from: None, to })
    }

    /// Of those wires only one service's.
    ///
    /// # Panics
    /// As [`Cut::to`].
    #[must_use]
    pub fn between(from: ServiceName, to: ServiceName) -> Self {
        Self::of(Ends { from: Some(from), to })
    }

    #[expect(clippy::expect_used, reason = "a test's fault: without it there is no test")]
    fn of(ends: Ends) -> Self {
        let dir = tempfile::tempdir().expect("a directory for the cut");
        Self {
            ends,
            dir: Arc::new(dir),
        }
    }

    /// Lets no call pass.
    ///
    /// # Panics
    /// When its directory cannot be written.
    pub fn cut(&self) {
        self.cut_after(0);
    }

    /// Lets so many calls pass before.
    ///
    /// # Panics
    /// When its directory cannot be written.
    #[expect(clippy::expect_used, reason = "a test's fault: without it there is no test")]
    pub fn cut_after(&self, calls: u64) {
        for nth in 0..calls {
            fs::write(pass(self.dir.path(), nth), "").expect("a pass");
        }
        fs::write(mark(self.dir.path()), calls.to_string()).expect("the cut's mark");
    }

    /// Lets every call pass again.
    ///
    /// # Panics
    /// When its directory cannot be written.
    #[expect(clippy::expect_used, reason = "a test's fault: without it there is no test")]
    pub fn mend(&self) {
        fs::remove_file(mark(self.dir.path())).expect("it was cut");
    }

    /// The wires of this process.
    #[must_use]
    pub fn wire(&self) -> CutWire {
        CutWire {
            ends: self.ends,
            dir: self.dir.path().to_owned(),
        }
    }

    /// What tells another process's services about it.
    pub(crate) fn arguments(&self) -> [std::ffi::OsString; 2] {
        let Ends { from, to } = self.ends;
        let from = from.map_or("", ServiceName::as_str);
        let mut text = std::ffi::OsString::from(format!("{from}:{to}:"));
        text.push(self.dir.path());
        ["--cut".into(), text]
    }
}

/// A process's wires, some of which may be cut.
#[derive(Clone, Debug)]
pub struct CutWire {
    ends: Ends,
    dir: PathBuf,
}

impl CutWire {
    /// As another process was told of it.
    #[must_use]
    pub fn told(text: &str) -> Option<Self> {
        let mut parts = text.splitn(3, ':');
        let (from, to, dir) = (parts.next()?, parts.next()?, parts.next()?);
        let from = match from {
            "" => None,
            name => Some(name.parse().ok()?),
        };
        let ends = Ends {
            from,
            to: to.parse().ok()?,
        };
        Some(Self {
            ends,
            dir: dir.into(),
        })
    }

    /// Whether a call may pass, which costs it a pass while the wire is cut.
    fn passes(&self) -> io::Result<bool> {
        let calls = match fs::read_to_string(mark(&self.dir)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(true),
            read => read?.parse().unwrap_or(0),
        };
        for nth in 0..calls {
            match fs::remove_file(pass(&self.dir, nth)) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                taken => return taken.map(|()| true),
            }
        }
        Ok(false)
    }
}

fn mark(dir: &Path) -> PathBuf {
    dir.join("cut")
}

fn pass(dir: &Path, nth: u64) -> PathBuf {
    dir.join(format!("pass-{nth}"))
}

impl Wire for CutWire {
    fn connect(&self, from: ServiceName, to: ServiceName, channel: GrpcChannel) -> GrpcChannel {
        if to == self.ends.to && self.ends.from.is_none_or(|only| only == from) {
            channel.tapped(Arc::new(self.clone()))
        } else {
            channel
        }
    }
}

impl Tap for CutWire {
    fn before(&self, _method: &str) -> Result<u64, Status> {
        let passes = self.passes();
        if passes.map_err(|error| Status::internal(format!("the cut cannot be looked at: {error}")))? {
            return Ok(0);
        }
        let failure = Failure::new(Code::Unavailable, Reason::Unavailable, "the wire is cut");
        Err(failure.to_status())
    }

    fn after(&self, _ticket: u64) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wire_that_is_cut_lets_as_many_pass_as_it_was_told() {
        let cut = Cut::between(ServiceName::Runtime, ServiceName::Memory);
        let wire = cut.wire();
        assert!(wire.passes().unwrap());
        cut.cut_after(2);
        let passed = [(); 4].map(|()| wire.passes().unwrap());
        assert_eq!(passed, [true, true, false, false]);
        cut.mend();
        assert!(wire.passes().unwrap());
    }

    #[test]
    fn another_process_is_told_which_wire_it_is() {
        for cut in [
            Cut::to(ServiceName::Hitl),
            Cut::between(ServiceName::Runtime, ServiceName::Memory),
        ] {
            let [_, text] = cut.arguments();
            let told = CutWire::told(text.to_str().unwrap()).unwrap();
            assert_eq!((told.ends, told.dir.as_path()), (cut.ends, cut.dir.path()));
        }
        assert!(CutWire::told("nobody:hitl:/tmp").is_none());
    }
}
