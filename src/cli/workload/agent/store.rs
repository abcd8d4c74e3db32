//! Files that a workload reads while they are written: it sees the old or the new one, complete.
//!
//! Nobody else can read either.

use std::io;
use std::path::Path;

use crate::journal::file;

/// Writes `text` to `path`, as a whole.
///
/// A link at `path` is replaced, never followed: its target belongs to somebody else.
pub fn write(path: &Path, text: &str) -> io::Result<()> {
    file::replace(path, text.as_bytes())
}

/// Removes the file, if it exists: content that ended must not be sent any more.
pub fn remove(path: &Path) {
    if let Err(error) = file::remove(path) {
        tracing::error!(file = %path.display(), error = %error.kind(), "a file that has ended cannot be removed");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
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
