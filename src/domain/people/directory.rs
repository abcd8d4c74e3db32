//! The people directory: everybody of whom the source spoke, by id, by user name and by the source's own id.
//!
//! Enter through [`Directory::of`]. It is a value: [`Directory::ensure_unique`] judges a person before anything is written, and
//! [`Directory::put`] takes the person in afterwards.
//!
//! # Where it is kept, and what the journal knows of it
//!
//! People lie in the journal's store, beside the entries, with keyed sums over all of them (`journal::people`), and not in the log: a
//! source sends names and addresses of people who have nothing to do with partners, people may ask to be forgotten, and the log never
//! forgets. A decision never reads the directory: entries such as `owner.left` name an id and nothing else (`log::directory`), so a
//! decision stays a function of state. [`Directory::by_address`] finds those ids for the owners of a record.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::member::{Member, Profile, folded};
use crate::domain::value::clock::Timestamp;
use crate::domain::value::names::PersonId;

/// The most people, those included whose texts are forgotten: a stolen token of the source cannot fill the store.
pub const MOST: usize = 100_000;

/// Everybody.
#[derive(Clone, Debug, Default)]
pub struct Directory {
    members: BTreeMap<PersonId, Member>,
    by_user_name: HashMap<String, PersonId>,
    by_external_id: HashMap<String, PersonId>,
    /// By user name and by each e-mail address.
    by_address: HashMap<String, BTreeSet<PersonId>>,
}

/// The person whom an address means.
#[derive(Clone, Copy, Debug)]
pub enum Meant<'d> {
    /// Nobody has it.
    Nobody,
    /// One person has it, active or not.
    One(&'d Member),
    /// Several people have it, and none of them is the only one who is active.
    Several,
}

/// The reason why a person cannot be taken in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Clash {
    /// Somebody else has this id.
    Id,
    /// Somebody else has this user name.
    UserName,
    /// Somebody else has this id of the source.
    ExternalId,
    /// The directory has [`MOST`] people.
    Full,
}

impl Directory {
    /// The directory of these people.
    ///
    /// # Errors
    /// Two of them have the same id, user name or id of the source.
    pub fn of(members: impl IntoIterator<Item = Member>) -> Result<Self, Clash> {
        let mut directory = Self::default();
        for member in members {
            if directory.members.contains_key(&member.id) {
                return Err(Clash::Id);
            }
            directory.ensure_unique(&member)?;
            directory.put(member);
        }
        Ok(directory)
    }

    /// A person whose texts are kept at `now`.
    pub fn find(&self, id: &str, now: Timestamp) -> Option<&Member> {
        self.members.get(id).filter(|member| member.profile_at(now).is_some())
    }

    /// The person with this user name, without regard to case.
    pub fn by_user_name(&self, user_name: &str, now: Timestamp) -> Option<&Member> {
        self.find(self.by_user_name.get(&folded(user_name))?.as_str(), now)
    }

    /// The person with this id of the source.
    pub fn by_external_id(&self, external_id: &str, now: Timestamp) -> Option<&Member> {
        self.find(self.by_external_id.get(external_id)?.as_str(), now)
    }

    /// A person whose texts may be gone.
    pub fn member(&self, id: &PersonId) -> Option<&Member> {
        self.members.get(id)
    }

    /// Everybody, those included whose texts are gone.
    pub fn everybody(&self) -> impl Iterator<Item = &Member> {
        self.members.values()
    }

    /// The person whom an address means, by user name or e-mail address, without regard to case.
    ///
    /// An account that is not active any more does not stand in the way of the one that took its place. Of two active people nobody can
    /// say who is meant.
    pub fn by_address(&self, address: &str, now: Timestamp) -> Meant<'_> {
        let named = self.by_address.get(&folded(address)).into_iter().flatten();
        let named: Vec<&Member> = named.filter_map(|id| self.find(id.as_str(), now)).collect();
        let mut active = named.iter().filter(|member| member.active);
        match (named.as_slice(), active.next(), active.next()) {
            ([], _, _) => Meant::Nobody,
            ([only], _, _) => Meant::One(only),
            (_, Some(only), None) => Meant::One(only),
            (_, _, _) => Meant::Several,
        }
    }

    /// People whose texts are kept at `now`, in the order of their ids.
    pub fn all(&self, now: Timestamp) -> impl Iterator<Item = &Member> {
        self.members.values().filter(move |member| member.profile_at(now).is_some())
    }

    /// People whose texts are stored although their time is over, at most `most`.
    pub fn overdue(&self, now: Timestamp, most: usize) -> Vec<&Member> {
        let is_overdue = |member: &&Member| member.profile.is_some() && member.profile_at(now).is_none();
        self.members.values().filter(is_overdue).take(most).collect()
    }

    /// Refuses a person with a name of somebody else, or one too many.
    ///
    /// A name is free once its person is forgotten: until then two people with it could be stored, and a start would find both.
    pub fn ensure_unique(&self, member: &Member) -> Result<(), Clash> {
        if let Some(Profile { user_name, external_id, .. }) = &member.profile {
            let is_other = |known: Option<&PersonId>| known.is_some_and(|known| *known != member.id);
            if is_other(self.by_user_name.get(&user_name.folded())) {
                return Err(Clash::UserName);
            }
            if external_id.as_ref().is_some_and(|id| is_other(self.by_external_id.get(id.as_str()))) {
                return Err(Clash::ExternalId);
            }
        }
        if self.members.len() >= MOST && !self.members.contains_key(&member.id) { Err(Clash::Full) } else { Ok(()) }
    }

    /// Whether exactly this is known of the person already: a source repeats itself, and nothing has to be written.
    pub fn is_known(&self, member: &Member) -> bool {
        self.members.get(&member.id) == Some(member)
    }

    /// Takes a person in, in place of what was known of the same id.
    pub fn put(&mut self, member: Member) {
        if let Some(Member { profile: Some(profile), .. }) = self.members.get(&member.id) {
            self.by_user_name.remove(&profile.user_name.folded());
            if let Some(external_id) = &profile.external_id {
                self.by_external_id.remove(external_id.as_str());
            }
            for address in addresses(profile) {
                if let Some(known) = self.by_address.get_mut(&address) {
                    known.remove(&member.id);
                    if known.is_empty() {
                        self.by_address.remove(&address);
                    }
                }
            }
        }
        if let Some(profile) = &member.profile {
            self.by_user_name.insert(profile.user_name.folded(), member.id.clone());
            if let Some(external_id) = &profile.external_id {
                self.by_external_id.insert(external_id.as_str().to_owned(), member.id.clone());
            }
            for address in addresses(profile) {
                self.by_address.entry(address).or_default().insert(member.id.clone());
            }
        }
        self.members.insert(member.id.clone(), member);
    }
}

/// The addresses of a person in the form in which they are compared.
fn addresses(profile: &Profile) -> impl Iterator<Item = String> {
    std::iter::once(profile.user_name.folded()).chain(profile.emails.iter().map(|email| email.value.folded()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::member::{KEPT, PersonText, Said};
    use super::*;
    use crate::domain::fixture::at;

    fn said(user_name: &str, external_id: Option<&str>, active: bool) -> Said {
        let text = |text: &str| PersonText::try_from(text.to_owned()).expect("a text");
        Said { profile: Profile { user_name: text(user_name), external_id: external_id.map(text), emails: Vec::new() }, active }
    }

    fn person(id: &str, said: Said) -> Member {
        Member::new(format!("psn_{id}").parse().expect("an id"), said, at(0))
    }

    #[test]
    fn a_name_belongs_to_one_person_without_regard_to_case() {
        let jane = person("j", said("Jane@acme.example", Some("1"), true));
        let directory = Directory::of([jane.clone()]).expect("one person");
        let clash = |user_name, external_id| directory.ensure_unique(&person("x", said(user_name, external_id, true))).err();
        assert_eq!(clash("JANE@acme.example", None), Some(Clash::UserName));
        assert_eq!(clash("raj@acme.example", Some("1")), Some(Clash::ExternalId));
        assert_eq!(clash("raj@acme.example", Some("2")), None);
        assert_eq!(directory.ensure_unique(&jane), Ok(()), "the person itself");
        let twice = |other: Member| Directory::of([jane.clone(), other]).err();
        assert_eq!(twice(person("x", said("jane@Acme.example", None, false))), Some(Clash::UserName));
        assert_eq!(twice(person("j", said("raj@acme.example", None, true))), Some(Clash::Id));
    }

    #[test]
    fn the_name_of_somebody_who_is_forgotten_is_free() {
        let mut directory = Directory::of([person("j", said("jane@acme.example", Some("1"), true))]).expect("one person");
        let left = directory.find("psn_j", at(0)).expect("Jane").told(said("jane@acme.example", Some("1"), false), at(10));
        directory.put(left.clone());
        let (before, after) = (at(9 + i64::from(KEPT.0)), at(10 + i64::from(KEPT.0)));
        assert!(directory.by_user_name("Jane@acme.example", before).is_some_and(|jane| !jane.active), "found while kept");
        assert!(directory.by_user_name("Jane@acme.example", after).is_none());
        assert_eq!((directory.all(before).count(), directory.all(after).count()), (1, 0));
        assert_eq!((directory.overdue(before, 9).len(), directory.overdue(after, 9).len()), (0, 1));
        let other = person("n", said("jane@acme.example", Some("1"), true));
        assert_eq!(directory.ensure_unique(&other), Err(Clash::UserName));
        directory.put(left.forgotten(after));
        assert_eq!(directory.ensure_unique(&other), Ok(()));
        directory.put(other);
        assert_eq!(directory.by_user_name("jane@acme.example", after).map(|one| one.id.as_str()), Some("psn_n"));
        assert_eq!(directory.by_external_id("1", after).map(|one| one.id.as_str()), Some("psn_n"));
    }

    #[test]
    fn an_address_means_one_person_or_nobody() {
        let with = |id: &str, user_name: &str, emails: &[&str], active: bool| {
            let mut said = said(user_name, None, active);
            let email = |value: &&str| PersonText::try_from((*value).to_owned()).expect("a text");
            let email = |value| super::super::member::Email { value: email(value), kind: None, primary: None };
            said.profile.emails = emails.iter().map(email).collect();
            person(id, said)
        };
        let mut directory = Directory::of([
            with("j", "jane", &["Jane@acme.example", "jd@acme.example"], true),
            with("o", "jane.old@acme.example", &["jane@acme.example"], false),
            with("r", "raj@acme.example", &["raj@acme.example"], false),
            with("e", "eve", &["shared@acme.example"], true),
            with("f", "fay", &["SHARED@acme.example"], true),
        ])
        .expect("five people");
        let meant = |directory: &Directory, address: &str| match directory.by_address(address, at(0)) {
            Meant::Nobody => "nobody".to_owned(),
            Meant::One(member) => member.id.to_string(),
            Meant::Several => "several".to_owned(),
        };
        for (address, wanted) in [
            ("JANE", "psn_j"),
            ("jane@ACME.example", "psn_j"),
            ("jane.old@acme.example", "psn_o"),
            ("raj@acme.example", "psn_r"),
            ("shared@acme.example", "several"),
            ("nobody@acme.example", "nobody"),
        ] {
            assert_eq!(meant(&directory, address), wanted, "{address}");
        }
        directory.put(with("j", "jane", &["jane.doe@acme.example"], true));
        assert_eq!(meant(&directory, "jd@acme.example"), "nobody", "an address that is gone");
        assert_eq!(meant(&directory, "jane@acme.example"), "psn_o");
        assert_eq!(meant(&directory, "jane.doe@acme.example"), "psn_j");
    }

    proptest! {
        /// Whatever is put and forgotten, the indexes name exactly those whose texts are there.
        fn the_indexes_follow_the_people(steps in proptest::collection::vec((0_u8..4, 0_u8..4, any::<bool>()), 0..40)) {
            let mut directory = Directory::default();
            for (id, name, stays) in steps {
                let name = format!("name-{name}");
                let member = person(&id.to_string(), said(&name, Some(&name), true));
                let member = if stays { member } else { member.forgotten(at(0)) };
                if directory.ensure_unique(&member).is_ok() {
                    directory.put(member);
                }
                let named: Vec<&str> = directory.all(at(0)).map(|one| one.id.as_str()).collect();
                prop_assert_eq!(directory.by_user_name.len(), named.len());
                prop_assert_eq!(directory.by_external_id.len(), named.len());
                for name in 0..4 {
                    let name = format!("name-{name}");
                    let found = directory.by_user_name(&name, at(0));
                    prop_assert_eq!(found, directory.by_external_id(&name, at(0)));
                    prop_assert!(found.is_none_or(|one| named.contains(&one.id.as_str())));
                }
            }
        }
    }
}
