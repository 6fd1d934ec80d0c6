//! A disk that a test may fill.

use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

/// A small file system of its own, unmounted at the end. Making one needs root, as running sandboxes does.
pub struct Disk {
    directory: TempDir,
}

impl Disk {
    /// With so much room, in the words of `mount`: `1m`.
    ///
    /// # Panics
    /// When it cannot be mounted.
    #[must_use]
    #[expect(clippy::unwrap_used, reason = "a test without its disk fails")]
    pub fn of(size: &str) -> Self {
        let disk = Self {
            directory: TempDir::new().unwrap(),
        };
        disk.mount(&format!("size={size}"));
        disk
    }

    /// Makes more room.
    ///
    /// # Panics
    /// When it cannot be mounted.
    pub fn grow(&self, size: &str) {
        self.mount(&format!("remount,size={size}"));
    }

    #[must_use]
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    #[expect(clippy::unwrap_used, reason = "a test without its disk fails")]
    fn mount(&self, options: &str) {
        let mut mount = Command::new("mount");
        mount
            .args(["-t", "tmpfs", "-o", options, "tmpfs"])
            .arg(self.path());
        assert!(mount.status().unwrap().success(), "mounting a tmpfs needs root");
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.path()).status();
    }
}
