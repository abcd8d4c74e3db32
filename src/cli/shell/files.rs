//! The record files of `-f`, and the mapping from lines of the sent text to lines of the files.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::answer::Failure;

/// Files with records.
#[derive(Clone, Debug, Default)]
pub struct Files {
    /// Name and text of each, in the order in which they are sent.
    pub list: Vec<(String, String)>,
}

/// More files than any installation has, so that a wrong `-f /` ends soon.
const MOST: usize = 10_000;

impl Files {
    /// Reads each path: a file, `-` for stdin, or a folder.
    ///
    /// In a folder it reads all `*.yaml` and `*.yml` files, at any depth, in the order of their names.
    pub fn read(paths: &[PathBuf]) -> Result<Self, Failure> {
        let mut files = Self::default();
        for path in paths {
            if path == Path::new("-") {
                let mut text = String::new();
                std::io::stdin().take(16 * 1024 * 1024).read_to_string(&mut text).map_err(|error| unreadable(path, &error))?;
                files.list.push(("stdin".to_owned(), text));
            } else {
                files.collect(path, true)?;
            }
        }
        if files.list.is_empty() {
            let named = paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ");
            return Err(Failure::usage(format!("no *.yaml or *.yml below {named}")));
        }
        Ok(files)
    }

    fn collect(&mut self, path: &Path, named: bool) -> Result<(), Failure> {
        let kind = fs::metadata(path).map_err(|error| unreadable(path, &error))?;
        if kind.is_dir() {
            let entries = fs::read_dir(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
            let mut below: Vec<PathBuf> =
                entries.map_err(|error| unreadable(path, &error))?.iter().map(fs::DirEntry::path).collect();
            below.sort();
            let hidden = |path: &Path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
            for path in below.iter().filter(|path| !hidden(path)) {
                self.collect(path, false)?;
            }
            return Ok(());
        }
        let is_yaml = path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml");
        if !named && !is_yaml {
            return Ok(());
        }
        if self.list.len() >= MOST {
            return Err(Failure::usage(format!("more than {MOST} files")));
        }
        let text = fs::read_to_string(path).map_err(|error| unreadable(path, &error))?;
        self.list.push((path.display().to_string(), text));
        Ok(())
    }

    /// All files as one text of YAML documents.
    pub fn joined(&self) -> String {
        let mut joined = String::new();
        for (i, (_, text)) in self.list.iter().enumerate() {
            if i > 0 && !begins_a_document(text) {
                joined += "---\n";
            }
            joined += text;
            if !text.is_empty() && !text.ends_with('\n') {
                joined.push('\n');
            }
        }
        joined
    }

    /// The file and line of a line of [`Self::joined`].
    pub fn place(&self, line: usize) -> Option<(&str, usize)> {
        let mut first = 1;
        for (i, (name, text)) in self.list.iter().enumerate() {
            if i > 0 && !begins_a_document(text) {
                first += 1;
            }
            let lines = text.lines().count();
            if line < first + lines {
                return Some((name, line.saturating_sub(first) + 1));
            }
            first += lines;
        }
        None
    }
}

/// True if the text marks the beginning of its first document itself.
fn begins_a_document(text: &str) -> bool {
    let content = text.lines().find(|line| !line.trim().is_empty() && !line.starts_with('#'));
    content.is_some_and(|line| line == "---" || line.starts_with("--- "))
}

fn unreadable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::usage(format!("cannot read {}: {}", path.display(), error.kind()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_what_is_sent_is_found_in_its_file() {
        let file = |name: &str, text: &str| (name.to_owned(), text.to_owned());
        let files = Files { list: vec![file("a", "a1\na2"), file("b", "# b1\n---\nb3\n"), file("c", "c1\n---\nc3\n")] };
        let joined = files.joined();
        assert_eq!(joined, "a1\na2\n# b1\n---\nb3\n---\nc1\n---\nc3\n");
        for (number, line) in joined.lines().enumerate().filter(|(_, line)| *line != "---") {
            let (name, place) = files.place(number + 1).expect("a place");
            assert_eq!(line.trim_start_matches("# "), format!("{name}{place}"));
        }
        assert_eq!(files.place(99), None);
    }

    #[test]
    fn folders_are_read_in_order_and_hidden_files_are_not() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::create_dir_all(folder.path().join("b/.git")).expect("folders");
        for name in ["b/2.yml", "a.yaml", "b/1.yaml", "b/.git/x.yaml", "readme.md"] {
            fs::write(folder.path().join(name), name).expect("a file");
        }
        let files = Files::read(&[folder.path().to_owned()]).expect("files");
        let texts: Vec<_> = files.list.iter().map(|(_, text)| text.as_str()).collect();
        assert_eq!(texts, ["a.yaml", "b/1.yaml", "b/2.yml"]);
        assert!(Files::read(&[folder.path().join("b/.git/none")]).is_err());
    }
}
