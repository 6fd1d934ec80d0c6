//! An upload as it is announced, and whether what comes keeps to that.

use crate::Error;

/// The largest file, in bytes.
pub(crate) const MAX_FILE: u64 = 64 * 1024 * 1024;
const MAX_PATH: usize = 4096;

/// Counts the bytes of one upload.
#[derive(Debug)]
pub(crate) struct Meter {
    announced: u64,
    found: u64,
}

impl Meter {
    /// What can be said of an upload before its bytes come. Whether the path is one is the workspace's to say.
    pub(crate) fn begin(path: &str, size: u64, sha256: &[u8]) -> Result<Self, Error> {
        if path.is_empty() || path.len() > MAX_PATH {
            return Err(Error::Path);
        }
        if size > MAX_FILE {
            return Err(Error::LargeFile { max: MAX_FILE });
        }
        if sha256.len() != 32 {
            return Err(Error::Digest);
        }
        Ok(Self {
            announced: size,
            found: 0,
        })
    }

    pub(crate) fn count(&mut self, bytes: usize) -> Result<(), Error> {
        self.found = self
            .found
            .saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
        if self.found > self.announced {
            return Err(Error::UploadSize {
                announced: self.announced,
                found: self.found,
            });
        }
        Ok(())
    }

    pub(crate) fn end(&self) -> Result<(), Error> {
        if self.found == self.announced {
            Ok(())
        } else {
            Err(Error::UploadSize {
                announced: self.announced,
                found: self.found,
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_announced_is_what_must_come() {
        let begin = |size| Meter::begin("a.csv", size, &[0; 32]);
        let mut meter = begin(10).unwrap();
        meter.count(4).unwrap();
        assert!(meter.end().is_err());
        meter.count(6).unwrap();
        meter.end().unwrap();
        assert!(meter.count(1).is_err());
        begin(0).unwrap().end().unwrap();
        begin(MAX_FILE).unwrap();
        assert!(matches!(begin(MAX_FILE + 1), Err(Error::LargeFile { .. })));
        assert!(Meter::begin("", 1, &[0; 32]).is_err());
        assert!(Meter::begin(&"x".repeat(4097), 1, &[0; 32]).is_err());
        assert!(Meter::begin("a", 1, &[0; 31]).is_err());
    }
}
