//! The people directory: what the company's source of people writes and reads.
//!
//! Enter through [`Broker::person`], [`Broker::add_person`], [`Broker::change_person`] and [`Broker::delete_person`]. One request at a
//! time works on the directory: it is a few a second at most, and the source waits for each. A copy in memory answers as long as the
//! store has nothing newer, and each answer asks for that. A directory that is not as a node of ours left it answers nothing.
//!
//! What a source may say, in which words, is for `http::directory`; what a person is, for `domain::people`.

use std::collections::HashMap;

use tokio::sync::MutexGuard;

use super::Broker;
use super::people::Copied;
use crate::domain::people::directory::{Clash, Directory};
use crate::domain::people::member::{Member, Said};
use crate::domain::value::clock::Timestamp;
use crate::domain::value::names::PersonId;
use crate::journal::{PeopleFault, Unavailable};

/// The question by which a source finds people.
pub enum Wanted<'a> {
    /// By our id.
    Id(&'a str),
    /// By user name, without regard to case.
    UserName(&'a str),
    /// By the source's own id.
    ExternalId(&'a str),
}

/// The reason why the directory was not read or written.
#[derive(Clone, Copy, Debug)]
pub enum Refused<E> {
    /// There is no such person.
    Unknown,
    /// Somebody else has the name, or there is no room.
    Clash(Clash),
    /// What was said is not possible.
    Said(E),
    /// The store is away.
    Away,
    /// The directory is not as a node of ours left it.
    Unsound,
}

/// People whose texts one write forgets.
const FORGOTTEN_AT_ONCE: usize = 100;

/// Tries of a write that another process came before.
pub(super) const TRIES: u32 = 5;

impl<E> From<PeopleFault> for Refused<E> {
    fn from(fault: PeopleFault) -> Self {
        match fault {
            PeopleFault::Unavailable(_) => Self::Away,
            PeopleFault::Unsound(_) => {
                tracing::error!(%fault, "somebody else changed it; nothing is read from it or written to it");
                Self::Unsound
            }
        }
    }
}

impl<E> From<Unavailable> for Refused<E> {
    fn from(_: Unavailable) -> Self {
        Self::Away
    }
}

impl Broker {
    /// The person that is wanted, active or not.
    pub async fn person<E>(&self, wanted: Wanted<'_>) -> Result<Option<Member>, Refused<E>> {
        let mut copy = self.people.lock().await;
        let (directory, now) = (&self.newest(&mut copy).await?.directory, self.now());
        let found = match wanted {
            Wanted::Id(id) => directory.find(id, now),
            Wanted::UserName(name) => directory.by_user_name(name, now),
            Wanted::ExternalId(id) => directory.by_external_id(id, now),
        };
        Ok(found.cloned())
    }

    /// People from a place on, at most `most`, in the order of their ids; and how many there are.
    pub async fn people_from<E>(&self, skip: usize, most: usize) -> Result<(usize, Vec<Member>), Refused<E>> {
        let mut copy = self.people.lock().await;
        let (directory, now) = (&self.newest(&mut copy).await?.directory, self.now());
        Ok((directory.all(now).count(), directory.all(now).skip(skip).take(most).cloned().collect()))
    }

    /// Takes in a person of whom the source speaks for the first time. The id is ours.
    pub async fn add_person<E>(&self, said: Said) -> Result<Member, Refused<E>> {
        // Invariant: psn_ and an identifier of 22 characters of base64url is an id.
        let id: PersonId = format!("psn_{}", self.entropy.identifier()).parse().expect("an id of a person");
        self.write_person(move |_, now| Ok((Member::new(id.clone(), said.clone(), now), false))).await
    }

    /// Takes another word of the source of a person, which `tell` makes of what it said before.
    pub async fn change_person<E>(
        &self,
        id: &str,
        tell: impl Fn(Said) -> Result<Said, E> + Send + Sync,
    ) -> Result<Member, Refused<E>> {
        self.write_person(|directory, now| {
            let member = directory.find(id, now).ok_or(Refused::Unknown)?;
            let said = tell(member.said_at(now).ok_or(Refused::Unknown)?).map_err(Refused::Said)?;
            Ok((member.told(said, now), false))
        })
        .await
    }

    /// Forgets the texts of a person, who is not active any more.
    pub async fn delete_person<E>(&self, id: &str) -> Result<(), Refused<E>> {
        let delete = |directory: &Directory, now| {
            directory.find(id, now).map(|member| (member.forgotten(now), true)).ok_or(Refused::Unknown)
        };
        self.write_person(delete).await.map(drop)
    }

    /// Forgets the texts of people whose time is over.
    pub async fn forget_people(&self) -> Result<(), Refused<()>> {
        let mut copy = self.people.lock().await;
        self.forget_overdue(&mut copy).await
    }

    /// Writes the person that `decide` returns, and whether texts are to be gone; repeated when another process was first.
    async fn write_person<E>(
        &self,
        decide: impl Fn(&Directory, Timestamp) -> Result<(Member, bool), Refused<E>> + Send,
    ) -> Result<Member, Refused<E>> {
        let mut copy = self.people.lock().await;
        for _ in 0..TRIES {
            // A name is free once its person is forgotten.
            self.forget_overdue(&mut copy).await?;
            let directory = &self.newest(&mut copy).await?.directory;
            let (member, forgets) = decide(directory, self.now())?;
            directory.ensure_unique(&member).map_err(Refused::Clash)?;
            if directory.is_known(&member) || self.put(&mut copy, vec![member.clone()], forgets).await? {
                // What follows for owners is recorded before the source is answered: it says it again after a failure.
                self.settle_owners_in(&mut copy, std::slice::from_ref(&member.id)).await?;
                return Ok(member);
            }
        }
        Err(Refused::Away)
    }

    pub(super) async fn forget_overdue<E>(&self, copy: &mut MutexGuard<'_, Option<Copied>>) -> Result<(), Refused<E>> {
        loop {
            let (directory, now) = (&self.newest(copy).await?.directory, self.now());
            let overdue = directory.overdue(now, FORGOTTEN_AT_ONCE);
            if overdue.is_empty() {
                return Ok(());
            }
            let forgotten = overdue.into_iter().map(|member| member.forgotten(now)).collect();
            self.put(copy, forgotten, true).await?;
        }
    }

    /// Writes people. False: another process was first, and the copy is gone.
    pub(super) async fn put<E>(
        &self,
        copy: &mut MutexGuard<'_, Option<Copied>>,
        people: Vec<Member>,
        forgets: bool,
    ) -> Result<bool, Refused<E>> {
        // Until the outcome is known there is no copy: the request may end here, and the write goes on.
        let Some(mut copied) = copy.take() else { return Ok(false) };
        let put = self.journal.put_people(&mut copied.known, &people, forgets).await?;
        if put {
            people.into_iter().for_each(|member| copied.directory.put(member));
            **copy = Some(copied);
        }
        Ok(put)
    }

    /// The directory as the store has it.
    pub(super) async fn newest<'c, E>(&self, copy: &'c mut MutexGuard<'_, Option<Copied>>) -> Result<&'c Copied, Refused<E>> {
        let is_newest = match copy.as_ref() {
            Some(copied) => self.journal.has_newest(&copied.known).await?,
            None => false,
        };
        if !is_newest {
            let (members, known) = self.journal.people().await?;
            let directory = Directory::of(members);
            let directory = directory.map_err(|_| PeopleFault::Unsound("two people have the same name"))?;
            **copy = Some(Copied { directory, known, addresses: HashMap::new() });
        }
        // Invariant: set above, or found to be the newest.
        Ok(copy.as_ref().expect("a copy"))
    }
}
