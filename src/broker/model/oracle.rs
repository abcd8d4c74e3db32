//! The contract in its own words: who has to have said yes, by an account of the steps alone.
//!
//! Nothing of the code's tables is read here: no slots, no barred people, no standing of an approval. People's roles, what each kind takes
//! and what is wider are written down by hand. From the state come the facts that are judged: what is in force, and what is approved.

use std::collections::{BTreeMap, BTreeSet};

use super::Who;
use super::steps::{Doc, Step, Taken, World, feed, sync, version_of};
use crate::domain::fixture::at;
use crate::domain::registry::approval::{Kind, Standing, Verdict};
use crate::domain::registry::guardrail::Mode;
use crate::domain::registry::integration::OnSilence;
use crate::domain::registry::recertification::ItemVerdict;
use crate::domain::state::Suspension;
use crate::domain::state::recertification::Campaign;
use crate::domain::value::digest::Digest;
use crate::domain::value::names::ApprovalId;

/// A word that counts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Needs {
    /// A person with the role owner, and another one of security.
    OwnerAndSecurity,
    /// A person of security.
    Security,
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum What {
    /// A version of a record.
    Version(String, Digest),
    /// The end of these suspensions.
    Resume(BTreeSet<String>),
    Lift,
    Close,
    Exception,
    Enrolment,
    /// The removal of the guardrail.
    Removal,
    /// A campaign of reviews whose silence suspends.
    Campaign,
    /// Giving the offboarding up.
    Abort,
    /// Signing it off.
    SignOff,
}

#[derive(Clone, Debug)]
struct Asked {
    what: What,
    needs: Needs,
    by: Who,
    /// Who else has no word: they applied it, suspended or revoked.
    without_word: Vec<Who>,
    since: i64,
    words: Vec<(Who, Verdict, i64)>,
    /// Something newer took its place.
    replaced: bool,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Oracle {
    asked: BTreeMap<ApprovalId, Asked>,
    drafted: Option<Who>,
    suspended: BTreeMap<String, Who>,
    revoked: Option<Who>,
    enforced: Option<(Who, i64)>,
    /// Who applied or approved the version in force, or one that it was narrowed from.
    hands: BTreeSet<Who>,
    /// Who started the offboarding that is open.
    started: Option<Who>,
    /// The words on the review that is open.
    words: Vec<(Who, ItemVerdict)>,
}

/// What a person approves as: security only as security, whatever else they are; a machine and an administrator as nobody.
fn approves_as_owner(who: Who) -> bool {
    who == Who::Olga
}

fn approves_as_security(who: Who) -> bool {
    who == Who::Sven || who == Who::Bob
}

/// People have thirty days to answer.
const PATIENCE: i64 = 30 * 86_400;

impl Asked {
    fn holds(&self) -> bool {
        let counts = |who: Who| who != self.by && !self.without_word.contains(&who);
        let yes: BTreeSet<Who> = self
            .words
            .iter()
            .filter(|(who, verdict, at)| *verdict == Verdict::Approve && counts(*who) && *at < self.since + PATIENCE)
            .map(|(who, ..)| *who)
            .collect();
        let denied = self.words.iter().any(|(_, verdict, _)| *verdict == Verdict::Deny);
        // Nobody is an owner and security at once here, so two roles are two people.
        let owner = yes.iter().any(|who| approves_as_owner(*who));
        let security = yes.iter().any(|who| approves_as_security(*who));
        let enough = match self.needs {
            Needs::OwnerAndSecurity => owner && security,
            Needs::Security => security,
        };
        enough && !denied && !self.replaced
    }
}

fn subject(doc: Doc) -> &'static str {
    match doc {
        Doc::Wider | Doc::Narrower | Doc::Base => "globex/order-sync",
        Doc::Draft => "initech/feed",
        Doc::Partner => "initech",
        Doc::Api => "orders-api",
        Doc::Shadow | Doc::Enforce => "none",
    }
}

/// All suspensions in force, by id.
fn suspensions(world: &World) -> BTreeSet<String> {
    let partners = world.state.partners.values().flat_map(|known| known.suspensions.iter());
    let integrations = world.state.integrations.values().flat_map(|known| known.suspensions.iter());
    partners.chain(integrations).map(|one: &Suspension| one.id.to_string()).collect()
}

fn of_party(world: &World, subject: super::steps::Subject) -> BTreeSet<String> {
    let known = world.state.suspensions(&subject.party());
    known.into_iter().flat_map(|known| known.iter()).map(|one| one.id.to_string()).collect()
}

impl Oracle {
    fn ask(&mut self, world: &World, taken: &Taken, asked: (What, Needs, Who, Vec<Who>)) {
        let (what, needs, by, without_word) = asked;
        let Some(id) = &taken.approval else { return };
        let asked = Asked { what, needs, by, without_word, since: world.now, words: Vec::new(), replaced: false };
        self.asked.insert(id.clone(), asked);
    }

    /// Writes down a step that was taken. `before` is the world in which it was.
    pub(super) fn take(&mut self, before: &World, step: &Step, taken: &Taken) {
        match step {
            Step::Apply(who, doc) => {
                // A newer apply withdraws what waits.
                let named = subject(*doc);
                for asked in self.asked.values_mut() {
                    let same = matches!(&asked.what, What::Version(subject, _) if subject == named);
                    asked.replaced |= same || (named == "none" && asked.what == What::Removal);
                }
                if *doc == Doc::Draft {
                    self.drafted = Some(*who);
                }
                let needs = if *doc == Doc::Partner { Needs::Security } else { Needs::OwnerAndSecurity };
                let version = version_of(&before.document(*doc));
                self.ask(before, taken, (What::Version(named.to_owned(), version), needs, *who, Vec::new()));
            }
            Step::Submit(who) => {
                let version = version_of(&before.document(Doc::Draft));
                let what = What::Version(subject(Doc::Draft).to_owned(), version);
                let drafted = self.drafted.into_iter().collect();
                self.ask(before, taken, (what, Needs::OwnerAndSecurity, *who, drafted));
            }
            Step::Review(who, id, verdict) => {
                let asked = self.asked.get_mut(id).expect("somebody asked for it");
                asked.words.push((*who, *verdict, before.now));
            }
            Step::Suspend(_, subject) => {
                // What waits was asked for before this was known.
                let known = of_party(before, *subject);
                for asked in self.asked.values_mut() {
                    asked.replaced |= matches!(&asked.what, What::Resume(lifts) if !lifts.is_disjoint(&known));
                }
            }
            Step::AskResume(who, subject) => {
                let lifts = of_party(before, *subject);
                let authors = lifts.iter().filter_map(|id| self.suspended.get(id)).copied().collect();
                self.ask(before, taken, (What::Resume(lifts), Needs::Security, *who, authors));
            }
            Step::Revoke(who) => self.revoked = Some(*who),
            Step::AskLift(who) => {
                let revoked = self.revoked.into_iter().collect();
                self.ask(before, taken, (What::Lift, Needs::Security, *who, revoked));
            }
            Step::AskClose(who) => self.ask(before, taken, (What::Close, Needs::OwnerAndSecurity, *who, Vec::new())),
            Step::CloseException(who) => self.ask(before, taken, (What::Exception, Needs::Security, *who, Vec::new())),
            Step::Enrol(who) => self.ask(before, taken, (What::Enrolment, Needs::Security, *who, Vec::new())),
            Step::RemoveGuardrail(who) => {
                self.ask(before, taken, (What::Removal, Needs::OwnerAndSecurity, *who, Vec::new()));
            }
            Step::StartReviews(who, _) => self.ask(before, taken, (What::Campaign, Needs::Security, *who, Vec::new())),
            Step::Decide(who, verdict) => self.words.push((*who, *verdict)),
            Step::Offboard(who) => {
                self.started = Some(*who);
                // Whatever waited is void, but that a static secret is closed.
                for asked in self.asked.values_mut() {
                    asked.replaced |= match &asked.what {
                        What::Version(subject, _) => subject == "globex/order-sync",
                        What::Resume(lifts) => !lifts.is_disjoint(&of_party(before, super::steps::Subject::Integration)),
                        What::Lift | What::Enrolment => true,
                        What::Close | What::Exception | What::Removal | What::Campaign | What::Abort | What::SignOff => false,
                    };
                }
            }
            Step::AskAbort(who) => {
                let started = self.started.into_iter().collect();
                self.ask(before, taken, (What::Abort, Needs::OwnerAndSecurity, *who, started));
            }
            Step::Over | Step::Discard(_) | Step::Cut(..) | Step::Wait => {}
        }
    }

    fn allowed(&self, what: impl Fn(&What) -> bool) -> bool {
        self.asked.values().any(|asked| what(&asked.what) && asked.holds())
    }

    fn allows_version(&self, named: &str, version: Digest) -> bool {
        self.allowed(|what| matches!(what, What::Version(subject, of) if subject == named && *of == version))
    }

    /// Holds what came about against the contract. Returns what took approvals.
    pub(super) fn judge(&mut self, before: &World, after: &World, step: &Step) -> Vec<&'static str> {
        self.note_sign_off(after);
        let mut effects = Vec::new();
        let mut must = |holds: bool, effect: &'static str| {
            assert!(holds, "{effect} without its approvals, by {step:?}; asked: {:#?}", self.asked);
            effects.push(effect);
        };
        // No approval counts as complete that the contract does not call so.
        for (id, approval) in &after.state.approvals {
            let was = before.state.approvals.get(id).map(|approval| approval.standing(at(before.now)));
            let is = approval.standing(at(after.now));
            if is == Standing::Approved && was != Some(Standing::Approved) {
                let asked = self.asked.get(id).expect("somebody asked for it");
                must(asked.holds(), "approved");
                if asked.what == What::Enrolment {
                    must(asked.holds(), "enrolment");
                }
            }
        }
        let current = |world: &World, id| {
            let known = world.state.integrations.get(&id)?.current.as_ref()?;
            Some((known.version, known.record.contract.ends))
        };
        match (current(before, sync()), current(after, sync())) {
            (Some((_, old)), Some((version, new))) if new > old => {
                must(self.allows_version("globex/order-sync", version), "widened");
            }
            (Some(_), Some(_)) => {}
            (None, _) | (_, None) => panic!("the integration in force is there from the start"),
        }
        let verified = |world: &World| Some(world.state.partners.get("initech")?.current.as_ref()?.version);
        if let (None, Some((version, _))) = (current(before, feed()), current(after, feed())) {
            must(verified(after).is_some(), "activated");
            must(self.allows_version("initech/feed", version), "activated");
        }
        if let Some(version) = verified(after).filter(|version| verified(before) != Some(*version)) {
            must(self.allows_version("initech", version), "partner");
        }
        let api = |world: &World| world.state.apis.values().next().and_then(|api| api.current.as_ref()).map(|api| api.version);
        if let Some(version) = api(after).filter(|version| api(before) != Some(*version)) {
            must(self.allows_version("orders-api", version), "api");
        }
        let (stood, stand) = (suspensions(before), suspensions(after));
        for lifted in stood.difference(&stand) {
            must(self.allowed(|what| matches!(what, What::Resume(lifts) if lifts.contains(lifted))), "resumed");
        }
        let lifted = |world: &World| world.state.revocations.values().filter(|one| one.lifted).count();
        if lifted(after) > lifted(before) {
            must(self.allowed(|what| *what == What::Lift), "lifted");
        }
        if after.state.closures.iter().count() > before.state.closures.iter().count() {
            let by_administrator = |asked: &Asked| asked.what == What::Close && asked.by == Who::Adam && asked.holds();
            must(self.asked.values().any(by_administrator), "closed");
        }
        let open = |world: &World| world.state.integrations[&sync()].open_exceptions().count();
        if open(after) < open(before) {
            let by_owner =
                |asked: &Asked| asked.what == What::Exception && [Who::Olga, Who::Bob].contains(&asked.by) && asked.holds();
            must(self.asked.values().any(by_owner), "exception");
        }
        self.judge_end(before, after, &mut effects);
        self.judge_guardrail(before, after, step, &mut effects);
        self.judge_review(before, after, step, &mut effects);
        if let Step::Suspend(who, _) = step {
            for new in stand.difference(&stood) {
                self.suspended.insert(new.clone(), *who);
            }
        }
        effects
    }

    /// The broker asks for the sign-off once nothing else is missing. Who started the offboarding has no word.
    fn note_sign_off(&mut self, after: &World) {
        let asked = after.state.approvals.values().filter(|one| one.kind == Kind::Offboarding);
        for approval in asked {
            let Some(by) = self.started else { continue };
            let (what, needs, since) = (What::SignOff, Needs::OwnerAndSecurity, after.now);
            let fresh = Asked { what, needs, by, without_word: Vec::new(), since, words: Vec::new(), replaced: false };
            self.asked.entry(approval.id.clone()).or_insert(fresh);
        }
    }

    /// What is being offboarded stays as it is until it is given up, by an owner and a person of security who neither started it nor asked; then it
    /// is suspended. What was signed off, by two who did not start it, has ended for good.
    fn judge_end(&mut self, before: &World, after: &World, effects: &mut Vec<&'static str>) {
        let ending = |world: &World| world.state.integrations[&sync()].ending.clone();
        let version = |world: &World| world.state.integrations[&sync()].current.as_ref().map(|current| current.version);
        let Some(was) = ending(before) else { return };
        assert_eq!(version(before), version(after), "it changes while it ends");
        match ending(after) {
            Some(is) if is.is_over() && !was.is_over() => {
                assert!(self.allowed(|what| *what == What::SignOff), "ended without its approvals: {:#?}", self.asked);
                effects.push("ended");
            }
            Some(_) => {}
            None => {
                assert!(!was.is_over(), "it comes back after its end");
                assert!(self.allowed(|what| *what == What::Abort), "given up without its approvals: {:#?}", self.asked);
                assert!(!of_party(after, super::steps::Subject::Integration).is_empty(), "it comes back suspended");
                effects.push("aborted");
                for asked in self.asked.values_mut() {
                    asked.replaced |= asked.what == What::Abort || asked.what == What::SignOff;
                }
                self.started = None;
            }
        }
    }

    /// A review is completed by an owner who had no hand in the version, and where a scope stays, which is of high risk here, by another person
    /// of security. It never gives more. A campaign that suspends is started by two people of security.
    fn judge_review(&mut self, before: &World, after: &World, step: &Step, effects: &mut Vec<&'static str>) {
        let standing = |world: &World| {
            let current = world.state.integrations[&sync()].current.as_ref().expect("in force");
            let access = current.record.environments.get(&crate::domain::fixture::production());
            let scopes = access.into_iter().flat_map(|access| access.scopes.iter().flat_map(|(_, rules)| rules.iter()));
            (current.version, scopes.map(|rule| rule.scope.to_string()).collect::<BTreeSet<String>>())
        };
        let ((old, had), (new, has)) = (standing(before), standing(after));
        if let Step::Decide(..) = step {
            assert!(has.is_subset(&had), "{step:?} gives more");
        } else if new != old {
            // The words were about another version.
            self.words.clear();
            let asked =
                self.asked.values().find(|asked| matches!(&asked.what, What::Version(_, of) if *of == new) && asked.holds());
            match (asked, step) {
                (Some(asked), _) => {
                    let yes = asked.words.iter().filter(|(_, verdict, _)| *verdict == Verdict::Approve).map(|(who, ..)| *who);
                    self.hands = yes.chain([asked.by]).collect();
                }
                (None, Step::Apply(who, _)) => {
                    self.hands.insert(*who);
                }
                (None, _) => {}
            }
        }
        if after.completed() > before.completed() {
            let is_owner = |who: Who| (who == Who::Olga || who == Who::Bob) && !self.hands.contains(&who);
            let (first, rest) = self.words.split_first().expect("somebody decided");
            let stays = first.1.is_standing() && before.is_high_risk() && !has.is_empty();
            let seconded = rest.iter().any(|(who, _)| approves_as_security(*who) && *who != first.0);
            assert!(is_owner(first.0) && (!stays || seconded), "completed by {:?}, hands {:?}", self.words, self.hands);
            effects.push(if stays { "reviewed by two" } else { "reviewed" });
            self.words.clear();
        }
        let suspending = |world: &World| {
            let started = |one: &&Campaign| one.started.is_some() && one.terms.on_silence == OnSilence::Suspend;
            world.state.recertification.campaigns.values().filter(started).count()
        };
        if suspending(after) > suspending(before) {
            assert!(self.allowed(|what| *what == What::Campaign), "a campaign by {step:?}: {:#?}", self.asked);
            effects.push("campaign");
        }
    }

    /// A guardrail takes rights away: security with a recent sign-in puts a new one in force, or enforces what was in shadow. Anything that
    /// may forbid less takes approvals, but for a person who takes back within a day what they enforced.
    fn judge_guardrail(&mut self, before: &World, after: &World, step: &Step, effects: &mut Vec<&'static str>) {
        let current = |world: &World| {
            let known = world.state.guardrails.get("none")?.current.as_ref()?;
            Some((known.version, known.record.mode))
        };
        let (old, new) = (current(before), current(after));
        if old == new {
            return;
        }
        let alone = match step {
            Step::Apply(who, Doc::Shadow | Doc::Enforce) if approves_as_security(*who) => Some(*who),
            _ => None,
        };
        match (old, new) {
            (_, None) => {
                assert!(self.allowed(|what| *what == What::Removal), "removed by {step:?}: {:#?}", self.asked);
                effects.push("removed");
            }
            (old, Some((version, mode))) => {
                let takes_back = self.enforced.is_some_and(|(who, when)| Some(who) == alone && after.now < when + 86_400);
                let at_once = match (old.map(|(_, mode)| mode), mode) {
                    (None, Mode::Enforce | Mode::Shadow) | (Some(Mode::Shadow), Mode::Enforce) => alone.is_some(),
                    (Some(Mode::Enforce), Mode::Shadow) => takes_back,
                    (Some(Mode::Enforce), Mode::Enforce) | (Some(Mode::Shadow), Mode::Shadow) => false,
                };
                let allowed = at_once || self.allows_version("none", version);
                assert!(allowed, "a guardrail in {mode:?} by {step:?}: {:#?}", self.asked);
                effects.push("guardrail");
                if mode == Mode::Enforce {
                    self.enforced = alone.map(|who| (who, after.now));
                }
            }
        }
    }
}
