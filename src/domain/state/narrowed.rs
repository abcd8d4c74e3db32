//! Takes in what a version or a guardrail takes away when it comes into force.

use std::sync::Arc;

use super::effects::Entered;
use super::narrowings::{Anew, Asks, Guardrails, Narrowings, Whose};
use super::recent_cuts::RecentCuts;
use super::{State, Then};
use crate::domain::record::TakenAway;
use crate::domain::registry::guardrail::{Guardrail, Mode};
use crate::domain::registry::lifecycle::Versioned;
use crate::domain::value::digest::Digest;
use crate::domain::value::names::GuardrailName;

impl State {
    /// Cuts the tokens that were issued before `entry` and that a version of a record would not grant as they are.
    pub(super) fn narrowed(&mut self, entry: Entered<'_>, places: impl IntoIterator<Item = (Whose, TakenAway)>) {
        let enforces = self.guardrails.in_force().any(|one| one.record.mode == Mode::Enforce);
        let mut then = None;
        for (whose, away) in places {
            let unsure = away.unsure;
            let guardrails = (unsure.guardrails && enforces).then_some(Guardrails::All);
            let asks = Asks { elevations: unsure.elevations, rotation: unsure.rotation, guardrails };
            let anew = (!asks.is_nothing()).then(|| self.anew(entry, asks, &mut then));
            self.narrowings.add(entry, whose, away, anew);
        }
    }

    /// Cuts the tokens that were issued before `entry` and that a guardrail forbids since. `before` is the version that it replaced.
    pub(super) fn enforced(
        &mut self,
        entry: Entered<'_>,
        name: &GuardrailName,
        (before, set): (Option<&Versioned<Guardrail>>, Option<Digest>),
    ) {
        let current = self.guardrails.get(name.as_str()).and_then(|one| one.current.as_ref());
        let Some(current) = current.filter(|current| current.record.mode == Mode::Enforce) else { return };
        if before.is_some_and(|before| before.version == current.version) {
            return;
        }
        // In shadow it was asked about each token, with all that the request told.
        let shadowed = before.is_some_and(|one| one.record.mode == Mode::Shadow && one.record.is_same_text(&current.record));
        let asks = Asks { guardrails: Some(Guardrails::One(name.clone(), set.filter(|_| shadowed))), ..Asks::default() };
        let anew = self.anew(entry, asks, &mut None);
        self.narrowings.add(entry, Whose::Everybody, TakenAway::default(), Some(anew));
    }

    /// The state as `entry` leaves it, to be asked later. The narrowings in it would keep all earlier ones.
    fn anew(&self, entry: Entered<'_>, asks: Asks, then: &mut Option<Then>) -> Anew<Then> {
        let bare = || Self { narrowings: Narrowings::default(), recent_cuts: RecentCuts::default(), ..self.clone() };
        let then = Arc::clone(then.get_or_insert_with(|| Arc::new(bare())));
        let set = self.guardrails.digest().filter(|_| asks.guardrails.is_some());
        Anew { then, at: entry.at, asks, set }
    }
}
