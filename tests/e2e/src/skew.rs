//! Clocks that are wrong: each process of a cluster may go by one that a test sets while it runs.
//!
//! What is wrong is what services ask for the time, and nothing else: TLS reads the machine's clock, and so does the system.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use harombe_types::{Clock, ServiceName, SystemClock, Timestamp};

/// The clocks of a cluster, as the test holds them; all are right at first. A file for each service says how far its clock
/// is off.
#[derive(Clone, Debug)]
pub struct Clocks(PathBuf);

impl Clocks {
    /// Makes the directory of their files.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn create(dir: &Path) -> io::Result<Self> {
        fs::create_dir_all(dir)?;
        Ok(Self(dir.to_owned()))
    }

    /// From now on the service's clock is ahead by so many seconds; behind, when they are negative.
    ///
    /// # Errors
    /// The directory cannot be written.
    pub fn set(&self, service: ServiceName, seconds: i64) -> io::Result<()> {
        // In one step: the process reads the old text or the new one.
        let draft = self.0.join(format!(".{service}"));
        fs::write(&draft, seconds.to_string())?;
        fs::rename(draft, self.file(service))
    }

    pub(crate) fn file(&self, service: ServiceName) -> PathBuf {
        self.0.join(service.as_str())
    }
}

/// The machine's clock, off by what a file says at the moment; right when there is no file.
#[derive(Clone, Debug)]
pub struct SkewedClock(PathBuf);

impl SkewedClock {
    #[must_use]
    pub fn read(file: &Path) -> Self {
        Self(file.to_owned())
    }
}

impl Clock for SkewedClock {
    fn now(&self) -> Timestamp {
        let text = fs::read_to_string(&self.0).unwrap_or_default();
        let seconds: i64 = text.parse().unwrap_or_default();
        Timestamp::from_millis(SystemClock.now().as_millis() + seconds * 1000)
    }
}
