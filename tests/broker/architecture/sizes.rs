//! A file that grows past its noun is two nouns.

use super::sources::Tree;

/// Lines of a file, with its documentation and without the test modules at its end.
const MOST: usize = 450;

/// Files that are longer today: the lines that they have, and the step that shortens them. There are none.
///
/// Neither the list nor a number grows.
const LONGER: [(&str, usize, &str); 0] = [];

/// A number in the list has to follow when its file has become this much shorter.
const SLACK: usize = 20;

/// Half of all files are at most this long.
const MEDIAN: usize = 150;

/// Files that are too long, and exceptions that became shorter.
pub fn faults(tree: &Tree) -> Vec<String> {
    let mut faults = Vec::new();
    for source in tree.sources() {
        let most = LONGER.iter().find(|(path, ..)| *path == source.path).map_or(MOST, |(_, lines, _)| *lines);
        if source.lines > most {
            faults.push(format!("{}: {} lines; at most {most}", source.path, source.lines));
        } else if most > MOST && (source.lines <= MOST || source.lines + SLACK <= most) {
            faults.push(format!("{}: {} lines; lower its number in the list, or take it off", source.path, source.lines));
        }
    }
    let mut lengths: Vec<usize> = tree.sources().map(|source| source.lines).collect();
    lengths.sort_unstable();
    let median = lengths.get(lengths.len() / 2).copied().unwrap_or_default();
    if median > MEDIAN {
        faults.push(format!("the median is {median} lines; at most {MEDIAN}"));
    }
    let gone = LONGER.iter().filter(|(path, ..)| !tree.sources().any(|source| source.path == *path));
    faults.extend(gone.map(|(path, ..)| format!("{path}: not there; take it off the list")));
    faults
}

#[test]
fn files_stay_readable() {
    super::assert_none(&faults(Tree::today()));
}
