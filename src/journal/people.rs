//! The people directory in an open journal: read whole and proved, and written by comparing its head.
//!
//! Why here: the store is the one place that every node shares, that is backed up with the log that will name people's ids, whose deleted
//! bytes are overwritten, and that has the key of its MACs. Why not among the entries: see `domain::people::directory`.

use super::fault::Unavailable;
use super::handle::Journal;
use super::sequencer::queue::Work;
use super::sequencer::reply::ANSWERED_WITHIN;
use super::store::people::{Known, PersonRow};
use crate::domain::people::member::Member;

/// The directory cannot be used.
#[derive(Clone, Copy, Debug, thiserror::Error)]
pub enum PeopleFault {
    /// The store is away. It may be tried again.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    /// The rows are not as a node of ours left them, in this way. Nobody may rely on them.
    #[error("the people directory is not as this server left it: {0}")]
    Unsound(&'static str),
}

impl Journal {
    /// Reads everybody, and proves that these are the rows that a node of ours wrote.
    ///
    /// # Errors
    /// The store is away, or somebody without the KEK changed the rows.
    pub async fn people(&self) -> Result<(Vec<Member>, Known), PeopleFault> {
        self.running()?;
        let stored = self.reader().people().await.map_err(Unavailable::from)?;
        let read = |PersonRow { id, body }: PersonRow| {
            let member = serde_json::from_str::<Member>(&body).ok().filter(|member| member.id.as_str() == id);
            member.map(|member| (member, body))
        };
        let rows: Option<Vec<(Member, String)>> = stored.rows.into_iter().map(read).collect();
        let rows = rows.ok_or(PeopleFault::Unsound("a row is no person"))?;
        let marked = rows.iter().map(|(member, body)| (&member.id, body.as_str()));
        let known = Known::proved(self.people_key(), stored.head, marked);
        let known = known.ok_or(PeopleFault::Unsound("the rows do not fit their tag"))?;
        Ok((rows.into_iter().map(|(member, _)| member).collect(), known))
    }

    /// Tells whether the store has what is known, and nothing later.
    ///
    /// # Errors
    /// The store is away, or it has an earlier directory than is known.
    pub async fn has_newest(&self, known: &Known) -> Result<bool, PeopleFault> {
        self.running()?;
        let stored = self.reader().people_head().await.map_err(Unavailable::from)?;
        let generation = |head: Option<_>| head.map_or(0, |head: super::store::people::PeopleHead| head.generation);
        if stored.as_ref() == known.head() {
            Ok(true)
        } else if generation(stored) > generation(known.head().cloned()) {
            Ok(false)
        } else {
            Err(PeopleFault::Unsound("an earlier state was put back"))
        }
    }

    /// Writes people, each once, in place of what was known of them. False: another process was first, and nothing was written.
    ///
    /// After an error they may have been written. Dropping the future takes nothing back.
    pub async fn put_people(&self, known: &mut Known, people: &[Member], forgets: bool) -> Result<bool, Unavailable> {
        self.running()?;
        // Invariant: a person serialises to JSON, like every record of the domain.
        let row = |member: &Member| (member.id.clone(), serde_json::to_string(member).expect("a person is JSON"));
        let (change, step) = known.next(self.people_key(), people.iter().map(row).collect(), forgets);
        let put = self.asked(ANSWERED_WITHIN, |answer| Work::People(Box::new(change), answer)).await?;
        if put {
            known.advance(step);
        }
        Ok(put)
    }
}
