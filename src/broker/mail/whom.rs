//! Finds the mail addresses of owners: those of their records, or of the people directory where it knows the person.

use std::collections::{BTreeSet, HashMap};

use crate::broker::Broker;
use crate::broker::directory::Refused;
use crate::broker::words::{Words, sealed};
use crate::domain::people::addressee::Addressee;
use crate::domain::people::member::{Member, Profile};
use crate::domain::state::State;
use crate::domain::value::clock::Timestamp;
use crate::domain::value::names::PersonId;
use crate::domain::value::text::Text;
use crate::journal::Unavailable;
use crate::outbound::mail::is_address;

/// The store is away, or the directory is not as a node of ours left it: no mail is sent in this round.
#[derive(Clone, Copy, Debug)]
pub struct Away;

impl From<Unavailable> for Away {
    fn from(_: Unavailable) -> Self {
        Self
    }
}

impl Broker {
    /// The address of each owner, in their order. None: the text was erased, the person left, or it is no address.
    pub(super) async fn addresses(&self, whom: &[Addressee]) -> Result<Vec<Option<String>>, Away> {
        if whom.is_empty() {
            return Ok(Vec::new());
        }
        let view = self.journal.view();
        let named: Vec<Option<Named<'_>>> = whom.iter().map(|whom| named(whom, &view.state)).collect();
        let words = Words::of(self, sealed(named.iter().flatten().map(|named| named.text))).await?;
        let people = self.members(named.iter().flatten().filter_map(|named| named.person.clone()).collect()).await?;
        let now = self.now();
        let address = |named: Option<Named<'_>>| {
            let named = named?;
            let written = words.plain(named.text);
            let member = named.person.and_then(|person| people.get(&person));
            member.map_or_else(|| written.map(str::to_owned), |member| of_member(member, written, now))
        };
        let found = named.into_iter().map(|named| address(named).filter(|address| is_address(address)));
        Ok(found.collect())
    }

    /// Owners of integrations in force who have no address.
    pub(super) async fn without_address(&self) -> Result<BTreeSet<Addressee>, Away> {
        let view = self.journal.view();
        let active = view.state.integrations.iter().filter(|(_, known)| known.current.is_some());
        let owners: Vec<Addressee> =
            active.flat_map(|(id, _)| [Addressee::Business(id.clone()), Addressee::Application(id.clone())]).collect();
        let mut nobody = BTreeSet::new();
        for some in owners.chunks(500) {
            let found = self.addresses(some).await?;
            nobody.extend(some.iter().zip(found).filter(|(_, address)| address.is_none()).map(|(whom, _)| whom.clone()));
        }
        Ok(nobody)
    }

    /// People of the directory, by their ids.
    async fn members(&self, ids: BTreeSet<PersonId>) -> Result<HashMap<PersonId, Member>, Away> {
        if ids.is_empty() {
            return Ok(HashMap::new());
        }
        let mut copy = self.people.lock().await;
        match self.newest::<()>(&mut copy).await {
            Ok(copied) => {
                let found = ids.into_iter().filter_map(|id| Some((id.clone(), copied.directory.member(&id)?.clone())));
                Ok(found.collect())
            }
            Err(Refused::Unknown | Refused::Clash(_) | Refused::Said(()) | Refused::Away | Refused::Unsound) => Err(Away),
        }
    }
}

/// An owner as the state knows them.
struct Named<'s> {
    text: &'s Text,
    person: Option<PersonId>,
}

/// The owner that an addressee is. None: there is no such version, or the owner left.
fn named<'s>(whom: &Addressee, state: &'s State) -> Option<Named<'s>> {
    let known = state.integrations.get(whom.integration()?)?;
    let owners = &known.shown()?.record.owners;
    let ids = if known.current.is_some() { known.owners.ids() } else { known.held_owners() };
    let (text, person) = match whom {
        Addressee::Business(_) => (&owners.business, ids.business),
        Addressee::Application(_) => (&owners.application, ids.application),
        Addressee::Security => return None,
    };
    let left = person.as_ref().is_some_and(|person| state.owners.gone(person).is_some());
    (!left).then_some(Named { text, person })
}

/// The address of a person: the one in the record if it still is theirs, else the one that the source prefers.
fn of_member(member: &Member, written: Option<&str>, now: Timestamp) -> Option<String> {
    let Profile { user_name, emails, .. } = member.profile_at(now).filter(|_| member.active)?;
    let mut all = emails.iter().map(|email| &email.value).chain([user_name]);
    let same = written.filter(|written| all.any(|known| known.is(written)));
    let preferred = emails.iter().find(|email| email.primary == Some(true)).or(emails.first());
    let other = preferred.map_or(user_name, |email| &email.value);
    Some(same.map_or_else(|| other.as_str().to_owned(), str::to_owned))
}
