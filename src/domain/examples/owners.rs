//! Changes about owners as people of the directory: who they are, who left, who is held, and who is back.

use std::collections::BTreeMap;

use super::changes::{Story, configuration};
use super::{Examples, parsed};
use crate::domain::fixture::at;
use crate::domain::log::configuration::ConfigurationChange;
use crate::domain::log::directory::DirectoryChange;
use crate::domain::log::integration::IntegrationChange;
use crate::domain::people::actor::Actor;
use crate::domain::people::owners::OwnerIds;
use crate::domain::registry::approval::Kind;
use crate::domain::registry::environment::{Governance, Lengthened, Source};
use crate::domain::registry::integration::Integration;
use crate::domain::value::clock::Seconds;
use crate::domain::value::digest::Digest;
use crate::domain::value::names::PersonId;

fn person(name: &str) -> PersonId {
    parsed(&format!("psn_{name}"))
}

fn owned(business: Option<&str>, application: Option<&str>) -> OwnerIds {
    OwnerIds { business: business.map(person), application: application.map(person) }
}

impl Examples {
    pub(super) fn owners(&self, story: &mut Story<'_>) {
        for (tls, days) in [(false, 7), (true, 3)] {
            let source = Source { listen: "192.0.2.7:7444".to_owned(), tls, silent_after: Seconds::days(days) };
            let governance = Governance { owner_grace: Seconds::days(10), ..Governance::default() };
            story.say(&Actor::Operator, ConfigurationChange::Changed(configuration(Some(source), governance)));
        }
        let (setting, from, to) = ("governance.owner_grace".to_owned(), Seconds::days(10), Seconds::days(14));
        let settings = vec![Lengthened { setting, from, to }];
        story.say(&Actor::Operator, ConfigurationChange::Widened { settings });
        self.owned(story);
        let directory = Actor::Directory;
        let integration = || parsed("umbrella/stock");
        let half = |ids: OwnerIds| BTreeMap::from([(integration(), ids)]);
        for (in_force, waiting) in [
            (half(owned(Some("jane"), None)), BTreeMap::new()),
            (half(owned(None, Some("raj"))), BTreeMap::new()),
            (BTreeMap::new(), half(owned(Some("ann"), Some("eve")))),
        ] {
            story.say(&directory, DirectoryChange::Resolved { in_force, waiting });
        }
        let adam = Actor::Staff(self.named("adam"));
        story.say(&adam, DirectoryChange::Imported { people: 3, left: 1 });
        for left in ["raj", "jane"] {
            story.say(&directory, DirectoryChange::Left { person: person(left) });
        }
        story.say(&directory, DirectoryChange::Returned { person: person("raj") });
        for (id, people) in [("hold-1", ["ann", "bob"]), ("hold-2", ["eve", "raj"])] {
            story.say(&directory, DirectoryChange::Held { id: parsed(id), people: people.map(person).into() });
        }
        story.say(&directory, DirectoryChange::Returned { person: person("raj") });
        let (id, people, reason) = (parsed("hold-1"), ["ann", "bob"].map(person).into(), self.text("a team was sold"));
        story.say(&self.security(), DirectoryChange::Confirmed { id, people, reason });
        story.say(&directory, DirectoryChange::Heard {});
        story.say(&Actor::Broker, DirectoryChange::Silent { since: at(0) });
    }

    /// A version with its owners from its submission on, and the one that takes its place.
    fn owned(&self, story: &mut Story<'_>) {
        let owner = self.owner();
        let first = Integration { id: parsed("umbrella/ledger"), ..self.small_integration() };
        story.say(&owner, IntegrationChange::Drafted { record: Box::new(first.clone()), reason: None });
        let (integration, version) = (first.id.clone(), Digest::of_json(&first));
        let approval = self.approval("approval-owned-1", Kind::Integration, ("umbrella/ledger", version));
        let owners = Some(owned(Some("ann"), Some("bob")));
        let submitted = IntegrationChange::Submitted { integration: integration.clone(), approval, owners: owners.clone() };
        story.say(&owner, submitted);
        story.say(&Actor::Broker, IntegrationChange::Activated { integration: integration.clone(), version, owners });
        let mut second = first;
        second.contract.reference = "M-2".to_owned();
        let version = Digest::of_json(&second);
        let approval = self.approval("approval-owned-2", Kind::Change, ("umbrella/ledger", version));
        let owners = Some(owned(Some("ann"), Some("raj")));
        story.say(&owner, IntegrationChange::ChangeHeld { record: Box::new(second), approval, owners: owners.clone() });
        story.say(&Actor::Broker, IntegrationChange::Changed { integration, version, owners });
    }
}
