//! No `match` over an enum of ours has a catch-all arm.
//!
//! So a new variant does not compile until somebody has weighed it in each `match`.
//!
//! The rule reads the enums that `src` declares, and each `match` in `domain` and `broker`. An arm is a catch-all if it has no guard, and
//! `_` or a name where another arm names a variant. In a pair, `(Known, _)` passes as long as a new variant in the place of `Known`
//! does not compile. `if let`, `let … else` and `matches!` ask about one variant and pass.

use std::collections::{BTreeMap, BTreeSet};

use super::compare;
use super::names::Names;
use super::parse::Segments;
use super::patterns::{Match, Pattern, Step};
use super::sources::Tree;

/// Rooms whose matches are read.
const ROOMS: [&str; 2] = ["domain", "broker"];

/// Today's catch-all arms, by file, function and enum, with the step that ends them. There are none.
const TODAY: [(&str, &str); 0] = [];

/// Each `match` over an enum of ours that has a catch-all arm.
pub fn faults(tree: &Tree) -> Vec<String> {
    let names = Names::of(tree);
    let sources = || names.sources().iter().filter(|source| ROOMS.contains(&source.room()));
    let enums: BTreeSet<&Segments> = names.sources().iter().flat_map(|source| &source.enums).collect();
    let mut found = BTreeMap::new();
    for source in sources() {
        for one in &source.matches {
            // A place below an open one is passed over: its catch-all arm is told already.
            let places = one.arms.iter().flat_map(|(pattern, _)| pattern.names()).filter_map(|(steps, name)| {
                let owner = owner(&names, &one.module, name).filter(|owner| enums.contains(owner))?;
                let open = takes_any(one, &steps);
                Some((steps, owner, open))
            });
            let places: Vec<_> = places.collect();
            let below = |steps: &[Step]| {
                places.iter().any(|(above, _, open)| *open && steps.len() > above.len() && steps.starts_with(above))
            };
            // By enum: whether each place where the match names a variant is open for a new one.
            let mut open: BTreeMap<&Segments, bool> = BTreeMap::new();
            for (_, owner, here) in places.iter().filter(|(steps, ..)| !below(steps)) {
                *open.entry(owner).or_insert(true) &= here;
            }
            for (owner, _) in open.into_iter().filter(|(_, open)| *open) {
                let owner = owner.last().map_or("", String::as_str);
                let fault = format!("{}:{} {} has a catch-all arm over {owner}", source.path, one.line, one.function);
                found.insert(format!("{} {} {owner}", source.path, one.function), fault);
            }
        }
    }
    compare(found.into_iter().collect(), &TODAY)
}

/// The enum whose variant the pattern names, as module and name.
fn owner(names: &Names, module: &[String], variant: &[String]) -> Option<Segments> {
    // A lone `Variant` may be imported.
    let meant = match variant {
        [_] => names.meant(module, variant)?,
        [owner @ .., last] => {
            let own = || [&["crate".to_owned()], module, owner].concat();
            let owner = names.meant(module, owner).unwrap_or_else(own);
            [owner.as_slice(), std::slice::from_ref(last)].concat()
        }
        [] => return None,
    };
    meant.strip_prefix(&["crate".to_owned()])?.split_last().map(|(_, owner)| owner.to_vec())
}

/// Asks whether the arms without a guard take a new variant at the end of `steps`.
fn takes_any(one: &Match, steps: &[Step]) -> bool {
    let arms: Vec<&Pattern> = one.arms.iter().filter(|(_, guarded)| !guarded).map(|(pattern, _)| pattern).collect();
    let open: Vec<&Pattern> = arms.iter().copied().filter(|pattern| pattern.takes_any_at(steps)).collect();
    if open.iter().any(|pattern| pattern.is_free_beside(steps)) {
        return true;
    }
    // `(A, _)` and `(B, _)` together take everything if the other arms also have A or B there.
    let Some((first, _)) = steps.split_first() else { return false };
    let beside =
        |patterns: &[&Pattern]| -> BTreeSet<String> { patterns.iter().flat_map(|pattern| pattern.beside(first)).collect() };
    !open.is_empty() && beside(&arms) == beside(&open)
}

#[test]
fn no_match_has_a_catch_all_arm() {
    super::assert_none(&faults(Tree::today()));
}
