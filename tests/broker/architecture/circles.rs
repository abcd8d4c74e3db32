//! No circles of imports.
//!
//! Files that import each other, directly or by others, can only be read, moved and tested together.
//!
//! A file needs the files whose items it names ([`super::names`]). Three things do not count:
//!
//! - `mod child;` and `pub use child::Item;` in a `mod.rs`: these are the folder's table of contents. An import of `Item` counts for the
//!   file that makes it, not for the table.
//! - The name of a folder inside a path: `record::write::document` needs `record/write.rs` alone.
//! - A method of a value: the value's type is named where it comes from.
//!
//! A `mod.rs` that makes an item for its children, and uses the children, is in a circle with them like any other file. The way out
//! is a file of its own for the item.

use std::collections::{BTreeMap, BTreeSet};

use super::names::Place;
use super::sources::Tree;

/// A circle that there is today.
struct Circle {
    /// The folder that its files have in common.
    folder: &'static str,
    /// The files below it, without the ending.
    files: &'static str,
    /// The way out.
    reason: &'static str,
}

/// Today's circles, the largest first.
const TODAY: [Circle; 2] = [
    Circle {
        folder: "broker",
        files: "delivery event explain follow mod ticket",
        reason: "to be cut by keeping the tasks out of `Broker`",
    },
    Circle {
        folder: "broker",
        files: "introspection verification",
        reason: "to be cut by a file of its own for the credentials that are shown",
    },
];

/// The needs of each file: the other file, the line, and the item.
type Needs = BTreeMap<String, BTreeMap<String, (usize, String)>>;

fn needs(tree: &Tree) -> Needs {
    let mut needs = Needs::new();
    for (source, mentions) in tree.mentions() {
        let needed = needs.entry(source.path.clone()).or_default();
        for mention in mentions.iter().filter(|mention| !mention.handed_on) {
            let Place::Ours { file, whole } = &mention.place else { continue };
            if !(*whole && file.ends_with("/mod.rs")) {
                let item = mention.trail.last().and_then(|path| path.last()).cloned().unwrap_or_default();
                needed.entry(file.clone()).or_insert((mention.line, item));
            }
        }
    }
    needs
}

/// The circles: the strongly connected components that have more than one file.
fn circles(needs: &Needs) -> Vec<BTreeSet<&str>> {
    let mut search = Search { needs, order: BTreeMap::new(), path: Vec::new(), circles: Vec::new() };
    for file in needs.keys() {
        if !search.order.contains_key(file.as_str()) {
            search.visit(file);
        }
    }
    search.circles
}

/// Tarjan's search.
struct Search<'a> {
    needs: &'a Needs,
    /// When a file was met; none any more once its circle is known.
    order: BTreeMap<&'a str, Option<usize>>,
    path: Vec<&'a str>,
    circles: Vec<BTreeSet<&'a str>>,
}

impl<'a> Search<'a> {
    /// Visits a file and all that it needs. Returns the earliest file of the path that these lead to.
    fn visit(&mut self, file: &'a str) -> usize {
        let met = self.order.len();
        let at = self.path.len();
        self.order.insert(file, Some(met));
        self.path.push(file);
        let mut earliest = met;
        for needed in self.needs.get(file).into_iter().flatten().map(|(needed, _)| needed.as_str()) {
            match self.order.get(needed) {
                None => earliest = earliest.min(self.visit(needed)),
                Some(Some(met)) => earliest = earliest.min(*met),
                Some(None) => {}
            }
        }
        if earliest == met {
            let circle: BTreeSet<&str> = self.path.drain(at..).collect();
            circle.iter().for_each(|file| {
                self.order.insert(file, None);
            });
            if circle.len() > 1 {
                self.circles.push(circle);
            }
        }
        earliest
    }
}

impl Circle {
    fn files(&self) -> BTreeSet<String> {
        self.files.split_whitespace().map(|file| format!("{}/{file}.rs", self.folder)).collect()
    }
}

/// Circles that are not listed, and listed ones that are smaller or gone.
pub fn faults(tree: &Tree) -> Vec<String> {
    let needs = needs(tree);
    let circles = circles(&needs);
    let listed: Vec<BTreeSet<String>> = TODAY.iter().map(Circle::files).collect();
    let mut faults = Vec::new();
    for circle in &circles {
        let told: Vec<String> = circle
            .iter()
            .flat_map(|file| needs[*file].iter().map(move |(needed, (line, item))| (file, needed, line, item)))
            .filter(|(_, needed, ..)| circle.contains(needed.as_str()))
            .map(|(file, needed, line, item)| format!("{file}:{line} needs {item} of {needed}"))
            .collect();
        match listed.iter().find(|listed| circle.iter().any(|file| listed.contains(*file))) {
            None => faults.push(format!("a new circle of {} files: {}", circle.len(), told.join(", "))),
            Some(listed) => {
                let joined = told.iter().filter(|told| !listed.contains(told.split(':').next().unwrap_or_default()));
                faults.extend(joined.map(|told| format!("a circle that is listed grew: {told}")));
            }
        }
    }
    for (listed, Circle { folder, reason, .. }) in listed.iter().zip(&TODAY) {
        let still: BTreeSet<&str> = circles.iter().flatten().copied().filter(|file| listed.contains(*file)).collect();
        let left: Vec<&String> = listed.iter().filter(|file| !still.contains(file.as_str())).collect();
        if !left.is_empty() {
            faults.push(format!("the circle in {folder} ({reason}) is smaller: take {left:?} off the list"));
        }
        if circles.iter().filter(|circle| circle.iter().any(|file| listed.contains(*file))).count() > 1 {
            faults.push(format!("the circle in {folder} ({reason}) fell apart: list its parts"));
        }
    }
    faults
}

#[test]
fn imports_make_no_circle() {
    super::assert_none(&faults(Tree::today()));
}
