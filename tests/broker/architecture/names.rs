//! Follows a path to the file of ours, or to the crate, that it leads to.
//!
//! Enter through [`Tree::mentions`]. A path is followed as the compiler does it: `crate::`, `self::` and `super::`, a module below,
//! a name that a `use` brought, a crate. A name that another module only hands on (`pub use`) is followed to the file that makes it.
//! Methods are not followed: `value.method()` names no file.

use std::collections::{BTreeMap, BTreeSet};

use super::parse::{Import, Scope, Segments, Source};
use super::sources::Tree;

/// One path by which a file names something outside itself.
#[derive(Clone, Debug)]
pub struct Mention {
    pub line: usize,
    /// The path as the file reaches it, then as each hand-over continues it. `crate` or another crate's name stands in front.
    pub trail: Vec<Segments>,
    pub place: Place,
    /// A `pub use`, of a name that the file itself does not need.
    pub handed_on: bool,
}

/// The end of a mention's trail.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Place {
    /// A file below `src`. `whole`: the path ends with the module's name.
    Ours {
        file: String,
        whole: bool,
    },
    Crate(String),
}

/// The names of a whole tree.
pub struct Names<'a> {
    sources: Vec<&'a Source>,
    modules: BTreeMap<&'a [String], &'a Source>,
    scopes: BTreeMap<&'a [String], &'a Scope>,
    crates: BTreeSet<String>,
}

/// Names that Rust itself brings.
const RUST: [&str; 3] = ["alloc", "core", "std"];

/// The longest trail: a name that is handed on more often counts as lost.
const HAND_OVERS: usize = 16;

impl<'a> Names<'a> {
    /// Reads the modules and imports of a tree.
    pub fn of(tree: &'a Tree) -> Self {
        let sources: Vec<&Source> = tree.sources().collect();
        let scopes =
            || sources.iter().flat_map(|source| source.scopes.iter().map(move |(module, scope)| (*source, module, scope)));
        Self {
            modules: scopes().map(|(source, module, _)| (module.as_slice(), source)).collect(),
            scopes: scopes().map(|(_, module, scope)| (module.as_slice(), scope)).collect(),
            crates: tree.dependencies().into_iter().chain(RUST.map(str::to_owned)).collect(),
            sources,
        }
    }

    /// The files, in the order of their paths.
    pub fn sources(&self) -> &[&'a Source] {
        &self.sources
    }

    /// Everything that each file names outside itself.
    pub fn mentions(&self) -> BTreeMap<String, Vec<Mention>> {
        self.sources.iter().map(|source| (source.path.clone(), self.of_file(source))).collect()
    }

    fn of_file(&self, source: &Source) -> Vec<Mention> {
        let mut mentions = Vec::new();
        for (module, scope) in &source.scopes {
            for import in scope.imports.iter().filter(|import| import.name != "*") {
                let handed_on = import.handed_on && !scope.words.contains(&import.name);
                let trail = self.follow(module, &import.target, Some(import));
                mentions.extend(self.mention(trail, import.line, handed_on));
            }
            for (path, lines) in &scope.paths {
                let trail = self.follow(module, path, None);
                let Some(mention) = self.mention(trail, 0, false) else { continue };
                mentions.extend(lines.iter().map(|line| Mention { line: *line, ..mention.clone() }));
            }
        }
        mentions.retain(|mention| !matches!(&mention.place, Place::Ours { file, .. } if *file == source.path));
        mentions
    }

    /// The path that a module means by `path`, behind every hand-over.
    pub fn meant(&self, module: &[String], path: &[String]) -> Option<Segments> {
        self.follow(module, path, None).pop()
    }

    /// Modules of ours that are imported whole by `*`, with the line.
    pub fn globs(&self, source: &Source) -> Vec<(usize, Segments)> {
        let globs = |(module, scope): (&Segments, &Scope)| {
            let globs = scope.imports.iter().filter(|import| import.name == "*");
            globs.map(|import| (import.line, self.meant(module, &import.target).unwrap_or_default())).collect::<Vec<_>>()
        };
        let ours = |path: &Segments| path.first().is_none_or(|first| first == "crate");
        source.scopes.iter().flat_map(globs).filter(|(_, path)| ours(path)).collect()
    }

    fn mention(&self, trail: Vec<Segments>, line: usize, handed_on: bool) -> Option<Mention> {
        let last = trail.last()?;
        let place = match last.split_first() {
            Some((first, rest)) if first == "crate" => {
                let length = self.longest(rest);
                let file = self.modules.get(&rest[..length])?.path.clone();
                Place::Ours { file, whole: length == rest.len() }
            }
            Some((first, _)) => Place::Crate(first.clone()),
            None => return None,
        };
        Some(Mention { line, trail, place, handed_on })
    }

    /// Counts the leading segments that name a module.
    fn longest(&self, path: &[String]) -> usize {
        (0..=path.len()).take_while(|length| self.modules.contains_key(&path[..*length])).last().unwrap_or_default()
    }

    /// The trail of a path. It is empty if the path begins with a name of the module's own.
    fn follow(&self, module: &[String], path: &[String], except: Option<&Import>) -> Vec<Segments> {
        let mut trail = Vec::new();
        let mut next = self.absolute(module, path, except, HAND_OVERS);
        while let Some(absolute) = next {
            next = self.handed_on(&absolute).filter(|_| trail.len() < HAND_OVERS);
            trail.push(absolute);
        }
        trail
    }

    /// One step: the path as seen from the root.
    fn absolute(&self, module: &[String], path: &[String], except: Option<&Import>, steps: usize) -> Option<Segments> {
        let (first, rest) = path.split_first()?;
        let root = |module: &[String], rest: &[String]| Some([&["crate".to_owned()], module, rest].concat());
        match first.as_str() {
            "crate" => return root(&[], rest),
            "carnet" if module.first().is_some_and(|room| room == "main") => return root(&[], rest),
            "self" => return root(module, rest),
            "super" => {
                let supers = path.iter().take_while(|segment| *segment == "super").count();
                return root(&module[..module.len().saturating_sub(supers)], &path[supers..]);
            }
            // `::name` is a crate's name.
            "" => return Some(rest.to_vec()),
            "Self" => return None,
            _ => {}
        }
        let below = [module, &path[..1]].concat();
        if self.modules.contains_key(below.as_slice()) {
            return root(module, path);
        }
        if let Some(import) = self.import(module, first, except).filter(|_| steps > 0) {
            let brought = self.absolute(module, &import.target, Some(import), steps - 1)?;
            return Some([brought.as_slice(), rest].concat());
        }
        self.crates.contains(first).then(|| path.to_vec())
    }

    /// Follows one hand-over: the import under whose name the path takes something from a module.
    fn handed_on(&self, absolute: &[String]) -> Option<Segments> {
        let rest = absolute.strip_prefix(&["crate".to_owned()])?;
        let (module, rest) = rest.split_at(self.longest(rest));
        let (name, rest) = rest.split_first()?;
        let import = self.import(module, name, None)?;
        let brought = self.absolute(module, &import.target, Some(import), HAND_OVERS)?;
        Some([brought.as_slice(), rest].concat())
    }

    fn import(&self, module: &[String], name: &str, except: Option<&Import>) -> Option<&'a Import> {
        let imports = &self.scopes.get(module)?.imports;
        imports.iter().find(|import| import.name == name && except.is_none_or(|except| !std::ptr::eq(*import, except)))
    }
}
