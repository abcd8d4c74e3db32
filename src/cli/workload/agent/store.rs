//! Files that a workload reads while they are written: it sees the old or the new one, complete.
//!
//! Nobody else can read either.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use crate::domain::value::clock::Entropy;
use crate::server::OsEntropy;

/// Writes `text` to `path`: a new file beside it (mode 0600), synced to disk, then renamed over it.
///
/// A link at `path` is replaced, never followed: its target belongs to somebody else.
pub fn write(path: &Path, text: &str) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let entropy: &dyn Entropy = &OsEntropy;
    let name = path.file_name().ok_or_else(|| io::Error::other("the path names no file"))?.to_string_lossy().into_owned();
    let beside = folder.join(format!(".{name}.{}", entropy.identifier()));
    let written = fill(&beside, text).and_then(|()| fs::rename(&beside, path));
    if written.is_err() {
        let _gone = fs::remove_file(&beside);
    }
    written?;
    // The rename must be on disk too: after a power cut the old file, which may have ended, would be back.
    fs::File::open(folder)?.sync_all()
}

fn fill(path: &PathBuf, text: &str) -> io::Result<()> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

/// Removes the file, if it exists: content that ended must not be sent any more.
pub fn remove(path: &Path) {
    if let Err(error) = fs::remove_file(path)
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::error!(file = %path.display(), error = %error.kind(), "a file that has ended cannot be removed");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_reader_never_sees_a_part_and_a_link_is_not_followed() {
        let folder = tempfile::tempdir().expect("a folder");
        let (path, other) = (folder.path().join("token"), folder.path().join("other"));
        fs::write(&other, "somebody's").expect("written");
        std::os::unix::fs::symlink(&other, &path).expect("a link");
        let text = |n: usize| format!("{n}").repeat(5000);
        write(&path, &text(0)).expect("written");
        assert_eq!(fs::read_to_string(&other).expect("read"), "somebody's");
        assert_eq!(fs::symlink_metadata(&path).expect("a file").permissions().mode() & 0o7777, 0o600);
        let reader = {
            let path = path.clone();
            std::thread::spawn(move || {
                for _ in 0..20_000 {
                    let seen = fs::read_to_string(&path).expect("always there");
                    assert!(seen.len() == 5000 && seen.bytes().all(|b| Some(b) == seen.bytes().next()), "{} bytes", seen.len());
                }
            })
        };
        let mut n = 1;
        while !reader.is_finished() {
            write(&path, &text(n % 10)).expect("written");
            n += 1;
        }
        reader.join().expect("whole each time");
        let left: Vec<_> =
            fs::read_dir(folder.path()).expect("a folder").map(|entry| entry.expect("an entry").file_name()).collect();
        assert_eq!(left.len(), 2, "{left:?}");
        remove(&path);
        remove(&path);
        assert!(!path.exists() && other.exists());
        assert!(write(&folder.path().join("none/token"), "x").is_err());
    }
}
