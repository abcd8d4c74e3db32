//! Files that only their owner may read, and that are written whole or not at all.
//!
//! Enter through [`replace`]. It serves everything that the program keeps beside the database: anchor, segments, cursors, contexts, tokens.
//! All calls block.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// Replaces a file as a whole: a reader sees the old or the new content, also after a power cut.
///
/// The new file is only its owner's. A link at `path` is replaced and never followed. Two tasks of one process take turns.
///
/// # Errors
/// It cannot be written; the old file is still there.
pub(crate) fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    replace_by(path, |file| file.write_all(content))
}

/// The same with a content that is written in pieces.
///
/// # Errors
/// As [`replace`], or as `write`.
pub(crate) fn replace_by(path: &Path, write: impl FnOnce(&mut fs::File) -> io::Result<()>) -> io::Result<()> {
    let next = beside(path);
    let written = remove(&next).and_then(|()| private(&next)).and_then(|mut file| {
        write(&mut file)?;
        // Before the rename: else a power cut may leave the new name with no content.
        file.sync_all()
    });
    let renamed = written.and_then(|()| fs::rename(&next, path));
    if renamed.is_err() {
        let _left = fs::remove_file(&next);
    }
    renamed?;
    // The rename too: else a power cut may bring the old content back.
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    fs::File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

/// Where the next content of a file is written: a name of this process, since another one may replace the same file.
pub(crate) fn beside(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.{}.next", std::process::id()))
}

/// Removes a file, if there is one.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// A new file that only its owner may read; an error when there is one already.
pub(crate) fn private(path: &Path) -> io::Result<fs::File> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Makes a folder for its owner alone, and those above it. An existing one stays as it is.
pub(crate) fn private_folder(path: &Path) -> io::Result<()> {
    // A bare file name has the empty path as its folder: the working directory, which is there.
    if path.as_os_str().is_empty() {
        return Ok(());
    }
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// Whether anybody but its owner may read or write a file.
#[cfg(unix)]
pub(crate) fn is_open_to_others(file: &fs::Metadata) -> bool {
    std::os::unix::fs::PermissionsExt::mode(&file.permissions()) & 0o077 != 0
}

/// The same of a file by its name; one that cannot be read counts as closed.
pub(crate) fn is_file_open_to_others(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|file| is_open_to_others(&file))
}

/// Whether anybody but its owner may read or write a file: not known here.
#[cfg(not(unix))]
pub(crate) fn is_open_to_others(_: &fs::Metadata) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let names = fs::read_dir(folder).expect("a folder").map(|file| file.expect("a file").file_name());
        names.map(|name| name.to_string_lossy().into_owned()).collect()
    }

    #[cfg(unix)]
    #[test]
    fn a_file_is_replaced_whole_for_its_owner_alone_and_a_link_is_not_followed() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().expect("a folder");
        let (path, other) = (folder.path().join("kept"), folder.path().join("other"));
        fs::write(&other, "somebody's").expect("written");
        std::os::unix::fs::symlink(&other, &path).expect("a link");
        // What a crash left is in nobody's way.
        fs::write(beside(&path), "a part").expect("written");
        replace(&path, b"ours").expect("replaced");
        assert_eq!(
            (fs::read(&path).expect("read"), fs::read(&other).expect("read")),
            (b"ours".to_vec(), b"somebody's".to_vec())
        );
        assert_eq!(fs::symlink_metadata(&path).expect("a file").permissions().mode() & 0o7777, 0o600);
        assert_eq!(names(folder.path()).len(), 2);
    }

    #[test]
    fn a_file_that_cannot_be_written_stays_as_it_was_and_leaves_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("kept");
        replace(&path, b"old").expect("written");
        let failed = replace_by(&path, |file| file.write_all(b"a part").and(Err(io::Error::other("full"))));
        assert_eq!(failed.expect_err("full").to_string(), "full");
        assert_eq!((fs::read(&path).expect("read"), names(folder.path())), (b"old".to_vec(), vec!["kept".to_owned()]));
        fs::create_dir(beside(&path)).expect("in the way");
        replace(&path, b"new").expect_err("a folder is in the way");
        assert_eq!(fs::read(&path).expect("read"), b"old");
        replace(&folder.path().join("none/kept"), b"x").expect_err("no folder");
    }
}
