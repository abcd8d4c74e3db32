//! Every order of administrative steps within a bound, against the rules that decide on them, and against the contract in its own words.
//!
//! The steps are those of four people with different roles and of a machine, over two partners: they apply, submit, discard, review,
//! suspend, resume, revoke, lift, close, enrol, remove and cut, and time passes. What decides is the code that runs: permissions,
//! comparison and conflicts of records, [`Approval::review`], what is stopped, the fold, and the consequences. The order of these in an
//! operation is written out beside [`steps`], as the journal's closures have it.
//!
//! [`oracle`] holds the contract: who has to have said yes before something is active, wider, lifted or closed. It reads no slots, no
//! barred people and no standings of the code. Each state that is reached is held against it.

mod ends;
mod oracle;
mod others;
mod records;
mod reviews;
mod steps;
mod stops;
mod summary;

use std::collections::{BTreeMap, HashSet};
use std::time::{Duration, Instant};

use crate::domain::registry::integration::OnSilence;
use crate::domain::registry::recertification::ItemVerdict;
use oracle::Oracle;
use steps::{Doc, Step, Subject, World};

/// Who acts. Two of them could fill both slots, if one person or a machine could.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
enum Who {
    /// An owner.
    Olga,
    /// Security.
    Sven,
    /// An owner, and security besides.
    Bob,
    /// An administrator.
    Adam,
    /// A machine whose groups are those of owners, security and administrators.
    Robot,
}

use Who::{Adam, Bob, Olga, Robot, Sven};

const EVERYBODY: [Who; 5] = [Olga, Sven, Bob, Adam, Robot];

/// The time that one family may take, once it has come as far as it has to. A slow machine goes less deep, and says so.
const BUDGET: Duration = Duration::from_secs(9);

/// How far a family goes.
struct Far<'a> {
    /// The number of steps from the start that it has to take.
    least: usize,
    /// The number that it takes if there is time.
    most: usize,
    /// What it has to reach.
    effects: &'a [&'static str],
}

impl Far<'_> {
    fn is_enough(&self, reached: &Reached) -> bool {
        reached.depth >= self.least && self.effects.iter().all(|effect| reached.effects.contains_key(effect))
    }
}

/// What was reached.
#[derive(Debug, Default)]
struct Reached {
    /// Every order of so many steps was tried.
    depth: usize,
    states: usize,
    steps: usize,
    /// How often something came about that takes approvals, by its name.
    effects: BTreeMap<&'static str, usize>,
}

/// Takes a step in both accounts; nothing if it is refused.
fn advance((world, oracle): &(World, Oracle), step: &Step, reached: &mut Reached) -> Option<(World, Oracle)> {
    let (mut next, mut account) = (world.clone(), oracle.clone());
    reached.steps += 1;
    let taken = next.take(step)?;
    account.take(world, step, &taken);
    next.settle();
    for effect in account.judge(world, &next, step) {
        *reached.effects.entry(effect).or_default() += 1;
    }
    Some((next, account))
}

/// Tries every order of these steps, and of all reviews, after the steps `first`.
fn explore(start: World, first: &[Step], family: &[Step], far: &Far<'_>) -> Reached {
    let (begun, mut reached) = (Instant::now(), Reached::default());
    let mut at = (start, Oracle::default());
    for step in first {
        at = advance(&at, step, &mut reached).expect("the first steps are allowed");
    }
    let mut seen: HashSet<Vec<u8>> = HashSet::from([at.0.summary()]);
    let mut level = vec![at];
    while reached.depth < far.most && !level.is_empty() {
        let mut next_level = Vec::new();
        for known in &level {
            if begun.elapsed() > BUDGET && far.is_enough(&reached) {
                reached.states = seen.len();
                return reached;
            }
            for step in family.iter().cloned().chain(known.0.reviews()) {
                let Some(next) = advance(known, &step, &mut reached) else { continue };
                if seen.insert(next.0.summary()) {
                    next_level.push(next);
                }
            }
        }
        level = next_level;
        reached.depth += 1;
    }
    reached.states = seen.len();
    reached
}

/// A step of each of these people.
fn by(people: &[Who], step: impl Fn(Who) -> Step) -> Vec<Step> {
    people.iter().map(|who| step(*who)).collect()
}

/// Steps that belong together, with those before them, and what they have to reach.
struct Family {
    name: &'static str,
    first: Vec<Step>,
    steps: Vec<Step>,
    effects: &'static [&'static str],
}

fn families() -> [Family; 7] {
    let family = |name, first: &[Step], steps: &[Vec<Step>], effects| Family {
        name,
        first: first.to_vec(),
        steps: steps.concat(),
        effects,
    };
    [
        family(
            "versions",
            &[],
            &[
                by(&[Olga, Bob, Robot], |who| Step::Apply(who, Doc::Wider)),
                by(&[Olga, Adam], |who| Step::Apply(who, Doc::Narrower)),
                by(&[Sven], |who| Step::Apply(who, Doc::Base)),
                vec![Step::Wait, Step::Cut(Sven, Bob)],
            ],
            &["widened"],
        ),
        family(
            "drafts",
            &[Step::Apply(Bob, Doc::Partner)],
            &[
                by(&[Olga, Robot], |who| Step::Apply(who, Doc::Draft)),
                by(&[Sven, Robot], Step::Submit),
                by(&[Olga], Step::Discard),
                vec![Step::Wait],
            ],
            &["activated", "partner"],
        ),
        family(
            "stops",
            &[],
            &[
                by(&[Sven, Robot], |who| Step::Suspend(who, Subject::Integration)),
                by(&[Bob], |who| Step::Suspend(who, Subject::Partner)),
                by(&[Olga, Sven], |who| Step::AskResume(who, Subject::Integration)),
                by(&[Olga], |who| Step::AskResume(who, Subject::Partner)),
                by(&[Sven, Adam], Step::Revoke),
                by(&[Bob, Robot], Step::AskLift),
            ],
            &["resumed", "lifted"],
        ),
        family(
            "others",
            &[],
            &[
                by(&[Adam, Sven, Robot], Step::AskClose),
                by(&[Olga, Sven, Robot], Step::CloseException),
                by(&[Sven], Step::Enrol),
                by(&[Bob], |who| Step::Apply(who, Doc::Api)),
            ],
            &["closed", "exception", "enrolment", "api"],
        ),
        family(
            "guardrails",
            &[],
            &[
                by(&[Sven, Robot, Olga], |who| Step::Apply(who, Doc::Shadow)),
                by(&[Sven, Bob, Olga], |who| Step::Apply(who, Doc::Enforce)),
                by(&[Olga, Robot], Step::RemoveGuardrail),
                vec![Step::Wait],
            ],
            &["guardrail", "removed"],
        ),
        family(
            "reviews",
            &[],
            &[
                by(&[Sven, Robot, Adam], |who| Step::StartReviews(who, OnSilence::Suspend)),
                by(&[Bob], |who| Step::StartReviews(who, OnSilence::Report)),
                by(&[Olga, Bob, Sven, Robot], |who| Step::Decide(who, ItemVerdict::Keep)),
                by(&[Olga, Adam], |who| Step::Decide(who, ItemVerdict::Remove)),
                by(&[Bob], |who| Step::Decide(who, ItemVerdict::Elevation)),
                by(&[Olga], |who| Step::Apply(who, Doc::Narrower)),
                vec![Step::Wait],
            ],
            &["reviewed", "reviewed by two", "campaign"],
        ),
        family(
            "ends",
            &[],
            &[
                by(&[Sven, Robot, Olga], Step::Offboard),
                by(&[Olga, Sven, Adam, Robot], Step::AskAbort),
                by(&[Olga], |who| Step::Apply(who, Doc::Wider)),
                by(&[Olga], |who| Step::AskResume(who, Subject::Integration)),
                by(&[Bob], |who| Step::Suspend(who, Subject::Integration)),
                by(&[Olga], Step::CloseException),
                vec![Step::Over],
            ],
            &["aborted", "ended"],
        ),
    ]
}

/// I-11: nothing becomes active, wider, lifted or closed without the approvals of the contract, in whatever order people act.
#[test]
fn i_11_nothing_is_in_force_without_the_approvals_of_the_contract() {
    for family in families() {
        // A review is asked for a longer contract only where reviews count.
        let start = if family.name == "reviews" { World::start().reviewed() } else { World::start() };
        let Family { name, effects, .. } = family;
        let far = Far { least: 3, most: 6, effects };
        let reached = explore(start, &family.first, &family.steps, &far);
        println!("{name}: depth {}, {} states, {} steps, {:?}", reached.depth, reached.states, reached.steps, reached.effects);
        assert!(reached.depth >= 3, "{name}: {} steps deep in {BUDGET:?}", reached.depth);
        for effect in effects {
            assert!(reached.effects.contains_key(effect), "{name}: no order of steps reaches {effect}");
        }
    }
}

/// All verbs beside each other, to a smaller depth: one family may meet what another one did.
#[test]
fn i_11_the_verbs_meet_each_other() {
    let all: Vec<Step> = families().into_iter().flat_map(|family| family.steps).collect();
    let reached = explore(World::start(), &[], &all, &Far { least: 2, most: 3, effects: &[] });
    println!("all: depth {}, {} states, {} steps, {:?}", reached.depth, reached.states, reached.steps, reached.effects);
    assert!(reached.depth >= 2 && reached.states > 200, "{reached:?}");
}
