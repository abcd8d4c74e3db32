//! The sources as a set in memory.
//!
//! Rules read a [`Tree`]; a mutation test changes files of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::thread;

use super::names::{Mention, Names};
use super::parse::{Segments, Source};

/// Everything that the rules read.
pub struct Tree {
    files: BTreeMap<String, Arc<Source>>,
    /// The text of `Cargo.toml`.
    manifest: String,
    /// The mentions of each file, once a rule asked.
    mentions: OnceLock<BTreeMap<String, Vec<Mention>>>,
}

impl Tree {
    /// The tree on disk, parsed once for all tests.
    pub fn today() -> &'static Self {
        static TODAY: OnceLock<Tree> = OnceLock::new();
        TODAY.get_or_init(|| {
            let root = Path::new(env!("CARGO_MANIFEST_DIR"));
            let mut texts = BTreeMap::new();
            collect(&root.join("src"), "", &mut texts);
            let manifest = fs::read_to_string(root.join("Cargo.toml")).expect("Cargo.toml is readable");
            Self { files: parse(&texts), manifest, mentions: OnceLock::new() }
        })
    }

    /// The same tree with one file edited. A file that is not there is made.
    pub fn with(&self, path: &str, edit: impl FnOnce(&str) -> String) -> Self {
        let text = edit(self.files.get(path).map_or("", |source| source.text.as_str()));
        let mut tree = self.changed();
        tree.files.insert(path.to_owned(), Arc::new(Source::parse(path, &text)));
        tree
    }

    /// The same tree without the files below a folder.
    pub fn without(&self, folder: &str) -> Self {
        let mut tree = self.changed();
        tree.files.retain(|path, _| !path.starts_with(folder));
        tree
    }

    /// The same tree with another `Cargo.toml`.
    pub fn with_manifest(&self, edit: impl FnOnce(&str) -> String) -> Self {
        Self { manifest: edit(&self.manifest), ..self.changed() }
    }

    fn changed(&self) -> Self {
        Self { files: self.files.clone(), manifest: self.manifest.clone(), mentions: OnceLock::new() }
    }

    /// Each file that is code, with everything outside itself that it names.
    pub fn mentions(&self) -> impl Iterator<Item = (&Source, &[Mention])> {
        let all = self.mentions.get_or_init(|| Names::of(self).mentions());
        self.sources().map(|source| (source, all.get(&source.path).map_or(&[][..], Vec::as_slice)))
    }

    /// The crates of `[dependencies]`, by the names that code uses.
    pub fn dependencies(&self) -> BTreeSet<String> {
        let manifest: toml::Table = self.manifest.parse().expect("Cargo.toml is TOML");
        let dependencies = manifest["dependencies"].as_table().expect("[dependencies] is a table");
        dependencies.keys().map(|name| name.replace('-', "_")).collect()
    }

    /// The files that are code: all but those that a `#[cfg(test)] mod` declares, and those below them.
    pub fn sources(&self) -> impl Iterator<Item = &Source> {
        let tests: BTreeSet<&Segments> = self.files.values().flat_map(|source| &source.test_modules).collect();
        self.files
            .values()
            .map(Arc::as_ref)
            .filter(move |source| (1..=source.module.len()).all(|length| !tests.contains(&source.module[..length].to_vec())))
    }
}

fn collect(folder: &Path, below: &str, texts: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(folder).expect("src is readable") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().and_then(|name| name.to_str()).expect("a name in UTF-8");
        if path.is_dir() {
            collect(&path, &format!("{below}{name}/"), texts);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            texts.insert(format!("{below}{name}"), fs::read_to_string(&path).expect("a source file"));
        }
    }
}

/// Parses the files on all cores: a debug build of `syn` takes its time.
fn parse(texts: &BTreeMap<String, String>) -> BTreeMap<String, Arc<Source>> {
    let texts: Vec<_> = texts.iter().collect();
    let cores = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        let parts: Vec<_> = (0..cores)
            .map(|core| {
                let mine = texts.iter().skip(core).step_by(cores);
                scope.spawn(move || {
                    mine.map(|(path, text)| ((*path).clone(), Arc::new(Source::parse(path, text)))).collect::<Vec<_>>()
                })
            })
            .collect();
        parts.into_iter().flat_map(|part| part.join().expect("each file parses")).collect()
    })
}
