//! A document: its text, headings, links and fenced blocks.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use crate::interop::process::file;

/// A document of the repository.
pub struct Page {
    /// Its path, from the root of the repository.
    pub path: String,
    pub text: String,
}

/// A fenced block.
#[derive(Debug)]
pub struct Block {
    /// The first word of the fence.
    pub language: String,
    /// The rest of it: a file's name, or `dev` for commands that run against `carnet dev`.
    pub about: String,
    pub text: String,
}

/// The lines around the part of a page that the code writes.
pub const GENERATED: (&str, &str) =
    ("<!-- Written by `make docs-reference` from the code: -->", "<!-- The end of what is written from the code. -->");

impl Page {
    pub fn read(path: &str) -> Self {
        let text = std::fs::read_to_string(file(path)).unwrap_or_else(|fault| panic!("{path}: {fault}"));
        Self { path: path.to_owned(), text }
    }

    /// Every document: those at the root, those beside data, and the book.
    pub fn all() -> Vec<Self> {
        let others =
            ["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "keys/README.md", "tests/golden/journal/README.md"];
        let mut paths: Vec<String> = others.map(str::to_owned).to_vec();
        paths.extend(files("docs", &["md"]));
        paths.iter().map(|path| Self::read(path)).collect()
    }

    /// The part that the code writes, without the lines around it.
    pub fn generated(&self) -> Option<&str> {
        let (begin, end) = GENERATED;
        Some(self.text.split_once(begin)?.1.split_once(end)?.0)
    }

    pub fn blocks(&self) -> Vec<Block> {
        let mut blocks = Vec::new();
        let mut open: Option<Block> = None;
        for line in self.text.lines() {
            match (line.strip_prefix("```"), &mut open) {
                (Some(info), None) => {
                    let (language, about) = info.split_once(' ').unwrap_or((info, ""));
                    open = Some(Block { language: language.to_owned(), about: about.to_owned(), text: String::new() });
                }
                (Some(_), Some(_)) => blocks.extend(open.take()),
                (None, Some(block)) => block.text.push_str(&format!("{line}\n")),
                (None, None) => {}
            }
        }
        assert!(open.is_none(), "{}: every fence is closed", self.path);
        blocks
    }

    /// The lines that people wrote: outside fences and outside the part that the code writes.
    pub fn written(&self) -> Vec<(usize, &str)> {
        let at = |mark: &str| self.text.lines().position(|line| line == mark);
        let generated = at(GENERATED.0).zip(at(GENERATED.1)).map_or(0..0, |(begin, end)| begin..end);
        self.prose().into_iter().filter(|(number, _)| !generated.contains(&(number - 1))).collect()
    }

    /// The lines outside fences, with their numbers.
    pub fn prose(&self) -> Vec<(usize, &str)> {
        let mut fenced = false;
        let mut prose = Vec::new();
        for (number, line) in self.text.lines().enumerate() {
            if line.starts_with("```") {
                fenced = !fenced;
            } else if !fenced {
                prose.push((number + 1, line));
            }
        }
        prose
    }

    /// The anchors of its headings, as GitHub and mdBook make them.
    pub fn anchors(&self) -> BTreeSet<String> {
        let mut seen: HashMap<String, usize> = HashMap::new();
        let headings = self.prose().into_iter().filter_map(|(_, line)| {
            let text = line.trim_start_matches('#');
            (text.len() < line.len() && text.starts_with(' ')).then(|| slug(text.trim()))
        });
        let mut anchors = BTreeSet::new();
        for slug in headings {
            let times = seen.entry(slug.clone()).or_default();
            anchors.insert(if *times == 0 { slug } else { format!("{slug}-{times}") });
            *times += 1;
        }
        anchors
    }

    /// The targets of its links, with the lines they stand on.
    pub fn links(&self) -> Vec<(usize, String)> {
        let prose = self.prose();
        let links = prose.iter().flat_map(|(number, line)| {
            // A link may have code as its text; code that looks like a link has a brace.
            let targets =
                line.split("](").skip(1).filter_map(|rest| rest.split(')').next()).filter(|target| !target.contains('{'));
            targets.map(|target| (*number, target.to_owned()))
        });
        links.collect()
    }
}

/// A heading as an anchor: lower case, blanks as hyphens, everything else that is no letter, digit, `-` or `_` left out.
fn slug(heading: &str) -> String {
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c.to_ascii_lowercase() }).collect()
}

/// The files below a folder of the repository that end in one of `extensions`, as paths from its root, sorted.
pub fn files(folder: &str, extensions: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    collect(&file(folder), extensions, &mut found);
    let root = file("");
    let mut paths: Vec<String> =
        found.iter().map(|path| path.strip_prefix(&root).expect("below the root").display().to_string()).collect();
    paths.sort();
    paths
}

fn collect(folder: &Path, extensions: &[&str], found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            collect(&path, extensions, found);
        } else if path.extension().is_some_and(|extension| extensions.iter().any(|wanted| extension == *wanted)) {
            found.push(path);
        }
    }
}

#[test]
fn a_page_is_read_as_its_readers_see_it() {
    let text = "# Keys, and `caches`\n[a](b.md#c)\n```sh dev\n# no heading [x](y)\n```\n## One\n## One\n";
    let page = Page { path: "x.md".to_owned(), text: text.to_owned() };
    assert_eq!(page.anchors().into_iter().collect::<Vec<_>>(), ["keys-and-caches", "one", "one-1"]);
    assert_eq!(page.links(), [(2, "b.md#c".to_owned())]);
    assert_eq!(page.blocks().len(), 1);
    assert_eq!((page.blocks()[0].language.as_str(), page.blocks()[0].about.as_str()), ("sh", "dev"));
}
