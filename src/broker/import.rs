//! The list of people that an administrator sends, the brake's holds, and how the directory stands.
//!
//! Enter through [`Broker::import_people`], [`Broker::confirm_hold`] and [`Broker::hear_directory`]. A list is judged whole before
//! anything is written: one faulty line changes nobody.

use std::collections::{BTreeMap, BTreeSet};

use super::Broker;
use super::cause::Cause;
use super::directory::TRIES;
use super::failure::{Failure, Fault};
use crate::domain::decision::owners;
use crate::domain::log::directory::DirectoryChange;
use crate::domain::people::actor::{Authorized, Confirm, Import};
use crate::domain::people::directory::{Clash, Directory, Meant};
use crate::domain::people::member::{Member, PersonText, Profile, Said};
use crate::domain::reason;
use crate::domain::state::State;
use crate::domain::value::clock::Timestamp;
use crate::domain::value::names::{HoldId, PersonId};
use crate::domain::value::text::Text;
use crate::journal::ForRequest;

/// One line of a list of people.
#[derive(Clone, Debug)]
pub struct Listed {
    /// The address: a user name or an e-mail address.
    pub email: String,
    /// False for somebody who left.
    pub active: bool,
}

/// The outcome of an import.
#[derive(Clone, Copy, Debug)]
pub struct Imported {
    /// People of whom the list says something new.
    pub changed: usize,
    /// Active people whom the list lacks.
    pub lacking: usize,
    /// Those of them who are not active any more for that.
    pub left: usize,
}

/// People as the directory knows them for an answer.
pub struct Standing {
    /// The number of active people.
    pub active: usize,
    /// The number of people who left and whose texts are kept.
    pub inactive: usize,
    /// The number of people whose texts are gone.
    pub forgotten: usize,
    /// The user names of the people that were asked for, while they are kept.
    pub names: BTreeMap<PersonId, String>,
}

/// What a list makes of the directory.
struct Judged {
    people: Vec<Member>,
    lacking: Vec<Member>,
    told: Vec<PersonId>,
}

impl Broker {
    /// Takes a whole list of people.
    ///
    /// # Errors
    /// No directory is configured, a line is faulty, or `confirmed` is not the number of active people whom the list lacks.
    pub async fn import_people(
        &self,
        by: &Authorized<Import>,
        list: &[Listed],
        confirmed: Option<usize>,
        request: Option<ForRequest>,
    ) -> Result<Imported, Failure> {
        if self.journal.view().state.directory().is_none() {
            return Err((&reason::DIRECTORY_NONE).into());
        }
        let mut copy = self.people.lock().await;
        self.forget_overdue::<()>(&mut copy).await?;
        let judged = self.judged(&self.newest::<()>(&mut copy).await?.directory, list)?;
        let lacking = judged.lacking.len();
        if confirmed.is_some_and(|confirmed| confirmed != lacking) {
            return Err((&reason::DIRECTORY_LEFT).into());
        }
        let left = confirmed.unwrap_or_default();
        // The entry comes first: it says who did it, and a person whose access was cut meanwhile changes nobody.
        let (people, gone) = (list.len(), left);
        let number = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
        let entry = move |_: &State, _| Ok(DirectoryChange::Imported { people: number(people), left: number(gone) });
        self.change_by(by, request, entry).await?;
        for _ in 0..TRIES {
            let directory = &self.newest::<()>(&mut copy).await?.directory;
            let Judged { mut people, lacking: without, told } = self.judged(directory, list)?;
            if confirmed.is_some() {
                // The source may have spoken meanwhile.
                if without.len() != lacking {
                    return Err((&reason::DIRECTORY_LEFT).into());
                }
                people.extend(without);
            }
            let changed = people.len() - left;
            if people.is_empty() || self.put::<()>(&mut copy, people, false).await? {
                self.settle_owners_in::<()>(&mut copy, &told).await?;
                return Ok(Imported { changed, lacking, left });
            }
        }
        Err((&reason::STORE_UNAVAILABLE).into())
    }

    /// Judges a list against the directory, and writes nothing.
    fn judged(&self, directory: &Directory, list: &[Listed]) -> Result<Judged, Failure> {
        let now = self.now();
        let mut faults = Vec::new();
        let (mut after, mut seen, mut people, mut told) = (directory.clone(), BTreeSet::new(), Vec::new(), Vec::new());
        for (line, one) in list.iter().enumerate() {
            match listed(directory, one, now, || self.entropy.identifier()) {
                Ok(member) if !seen.insert(member.id.clone()) => {
                    faults.push(fault(line, "this person stands in the list twice"))
                }
                Ok(member) => {
                    told.push(member.id.clone());
                    if directory.is_known(&member) {
                        continue;
                    }
                    match after.ensure_unique(&member) {
                        Ok(()) => {
                            after.put(member.clone());
                            people.push(member);
                        }
                        Err(Clash::Full) => faults.push(fault(line, "the directory has no room for more people")),
                        Err(Clash::Id | Clash::UserName | Clash::ExternalId) => {
                            faults.push(fault(line, "this person stands in the list twice"));
                        }
                    }
                }
                Err(message) => faults.push(fault(line, message)),
            }
        }
        if !faults.is_empty() {
            return Err(Failure::Faults(faults));
        }
        let lacks = |member: &&Member| member.active && !seen.contains(&member.id);
        let lacking = directory.all(now).filter(lacks).filter_map(|member| gone(member, now)).collect();
        Ok(Judged { people, lacking, told })
    }

    /// Confirms that the people of a hold left: they count as gone from now on.
    ///
    /// # Errors
    /// There is no such hold.
    pub async fn confirm_hold(
        &self,
        by: &Authorized<Confirm>,
        id: &HoldId,
        why: &str,
        request: Option<ForRequest>,
    ) -> Result<Vec<PersonId>, Failure> {
        let mut confirmed = Vec::new();
        self.change_by(by, request, |state, _now| {
            let hold = state.owners.hold(id).ok_or(&reason::NOT_FOUND)?;
            let people: Vec<PersonId> = hold.people.iter().cloned().collect();
            confirmed.clone_from(&people);
            Ok(DirectoryChange::Confirmed { id: id.clone(), people, reason: Text::from(why) })
        })
        .await?;
        Ok(confirmed)
    }

    /// Knows that the source spoke. It is on record about once a day: so often that a silence is noticed.
    pub async fn hear_directory(&self) {
        self.people.heard(self.now());
        if !owners::is_news(&self.journal.view().state, self.now()) {
            return;
        }
        let news = |state: &State, now| if owners::is_news(state, now) { Ok(DirectoryChange::Heard {}) } else { Err(()) };
        if let Err(fault) = self.change_as(Cause::Directory, None, news).await {
            tracing::warn!(%fault, "it is not on record that the source of the people directory spoke");
        }
    }

    /// Counts people, and finds the names of those who are asked for.
    ///
    /// # Errors
    /// The store is away, or the directory is not as a node of ours left it.
    pub async fn people_standing(&self, asked: &BTreeSet<PersonId>) -> Result<Standing, Failure> {
        let mut copy = self.people.lock().await;
        let (directory, now) = (&self.newest::<()>(&mut copy).await?.directory, self.now());
        let mut standing = Standing { active: 0, inactive: 0, forgotten: 0, names: BTreeMap::new() };
        for member in directory.everybody() {
            match (member.profile_at(now), member.active) {
                (None, _) => standing.forgotten += 1,
                (Some(_), true) => standing.active += 1,
                (Some(_), false) => standing.inactive += 1,
            }
        }
        let name = |id: &PersonId| {
            let profile = directory.member(id).and_then(|member| member.profile_at(now))?;
            Some((id.clone(), profile.user_name.as_str().to_owned()))
        };
        standing.names = asked.iter().filter_map(name).collect();
        Ok(standing)
    }
}

/// The person of one line, as the directory would know them.
fn listed(directory: &Directory, one: &Listed, now: Timestamp, id: impl FnOnce() -> String) -> Result<Member, &'static str> {
    let Listed { email, active } = one;
    let email = PersonText::try_from(email.trim().to_owned())?;
    if !email.as_str().contains('@') {
        return Err("expected an e-mail address");
    }
    let known = match directory.by_address(email.as_str(), now) {
        Meant::One(member) => Some(member),
        // A user name is one person's, whoever else has it among their addresses.
        Meant::Several => Some(directory.by_user_name(email.as_str(), now).ok_or("more than one person has this address")?),
        Meant::Nobody => None,
    };
    if let Some(member) = known {
        let said = member.said_at(now).ok_or("this person is not known any more")?;
        return Ok(member.told(Said { active: *active, ..said }, now));
    }
    // Invariant: psn_ and an identifier of 22 characters of base64url is an id.
    let id: PersonId = format!("psn_{}", id()).parse().map_err(|_| "no id could be made")?;
    let profile = Profile { user_name: email, external_id: None, emails: Vec::new() };
    Ok(Member::new(id, Said { profile, active: *active }, now))
}

/// The same person, not active any more.
fn gone(member: &Member, now: Timestamp) -> Option<Member> {
    let said = member.said_at(now)?;
    Some(member.told(Said { active: false, ..said }, now))
}

fn fault(line: usize, message: &str) -> Fault {
    // Never the address: it is somebody's, and a fault may be logged.
    Fault::invalid(format!("people[{line}]"), message)
}
