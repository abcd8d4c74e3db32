//! The directory of a temporary journal (`carnet dev`).

use std::path::PathBuf;

/// Removes a temporary journal's directory when the last handle goes.
pub(super) struct Scratch(pub PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            tracing::warn!(%error, path = %self.0.display(), "a temporary journal is left behind");
        }
    }
}
