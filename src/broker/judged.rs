//! Makes changes that rest on long work, and tells why versions wait.
//!
//! Two questions take long: does a version collide, and does it give more to something that is stopped. The desk answers them on
//! one state. The change itself only checks that this state still counts ([`State::generation`]), so nothing long runs on a serving
//! thread, however often a proposal is asked again. If another change came first, the version is judged anew. Enter through
//! [`Broker::change_judged`].

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Broker;
use super::change::Decided;
use super::failure::Failure;
use crate::domain::decision::consequence::waits_for;
use crate::domain::people::actor::{Authorized, Permission};
use crate::domain::reason::{self, Reason};
use crate::domain::state::State;
use crate::domain::value::clock::Timestamp;
use crate::domain::value::effort::Effort;
use crate::domain::value::names::IntegrationId;
use crate::journal::{Committed, ForRequest, View};

/// How often a change is judged anew if others come first.
const ROUNDS: usize = 8;

/// A judgement, and the state that it is about.
#[derive(Clone, Debug)]
pub(super) struct Judged<T> {
    /// The [`State::generation`] of that state.
    pub(super) generation: u64,
    /// The judgement.
    pub(super) found: T,
}

/// Why a judged change was not made.
enum Undecided {
    /// Another change came first, and the judgement no longer counts.
    Overtaken,
    Failed(Failure),
}

impl From<&'static Reason> for Undecided {
    fn from(reason: &'static Reason) -> Self {
        Self::Failed(reason.into())
    }
}

/// The reasons that keep waiting versions from coming into force, by integration.
pub type Lacking = BTreeMap<IntegrationId, Vec<&'static Reason>>;

impl Broker {
    /// Judges the state, then makes the change that `decide` returns, in the name of a person.
    ///
    /// All rounds share one budget. A judgement in `known` is used as long as it counts. It also returns the generation of the
    /// state that the change was made on.
    pub(super) async fn change_judged<P: Permission, D: Into<Decided>, T: Send + Sync + 'static>(
        &self,
        (by, request): (&Authorized<P>, Option<ForRequest>),
        effort: &mut Effort,
        mut known: Option<Judged<T>>,
        judge: impl Fn(&State, Timestamp, &mut Effort) -> T + Clone + Send + 'static,
        mut decide: impl FnMut(&State, Timestamp, &T) -> Result<D, Failure> + Send,
    ) -> Result<(Committed, u64), Failure> {
        for _ in 0..ROUNDS {
            let Judged { generation, found } = match known.take() {
                Some(judged) => judged,
                None => {
                    let (view, now, judge, mut budget) = (self.journal.view(), self.now(), judge.clone(), *effort);
                    let generation = view.state.generation;
                    let work = move || (judge(&view.state, now, &mut budget), budget);
                    let (found, left) = self.desk.work(work).await?;
                    *effort = left;
                    Judged { generation, found }
                }
            };
            let decide = |state: &State, now| {
                if state.generation != generation {
                    return Err(Undecided::Overtaken);
                }
                decide(state, now, &found).map_err(Undecided::Failed)
            };
            match self.try_change_by(by, request.clone(), decide).await? {
                Ok(committed) => return Ok((committed, generation)),
                Err(Undecided::Failed(failure)) => return Err(failure),
                Err(Undecided::Overtaken) => {}
            }
        }
        Err(Failure::Refused(&reason::RECORDS_BUSY))
    }

    /// Finds the reasons that keep the waiting versions of `asked` from coming into force.
    ///
    /// All of them share one budget. Integrations without a waiting version are left out.
    ///
    /// # Errors
    /// The desk is busy.
    pub async fn lacking(&self, view: &Arc<View>, asked: impl Iterator<Item = &IntegrationId>) -> Result<Lacking, Failure> {
        let waits = |id: &&IntegrationId| view.state.integrations.get(*id).is_some_and(|known| known.held.is_some());
        let asked: Vec<IntegrationId> = asked.filter(waits).cloned().collect();
        if asked.is_empty() {
            return Ok(Lacking::new());
        }
        let (view, now) = (Arc::clone(view), self.now());
        let judge = move || {
            let share = Effort::share(asked.len());
            let judged = asked.into_iter().filter_map(|id| {
                let lacking = waits_for(&view.state, view.state.integrations.get(&id)?, now, &mut { share });
                Some((id, lacking))
            });
            judged.collect()
        };
        self.desk.work(judge).await
    }
}
