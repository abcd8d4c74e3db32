//! Names that the records of many integrations have: each text is held once.

use std::sync::Arc;

use litemap::LiteMap;

use super::binding::{Admits, Binding, JwtKind, JwtRule, KeySource};
use super::integration::{Access, Integration};
use crate::domain::value::shared::SharedTexts;

impl Integration {
    /// Takes the texts of the names that others have as well from `texts`. The record stays equal to what it was.
    pub fn share(&mut self, texts: &mut SharedTexts) {
        self.id.share(texts);
        each(&mut self.environments, |name, access| {
            name.share(texts);
            access.share(texts);
        });
    }
}

impl Access {
    fn share(&mut self, texts: &mut SharedTexts) {
        for Binding { name, admits } in &mut self.bindings {
            name.share(texts);
            match admits {
                Admits::Jwt(rule) => Arc::make_mut(rule).share(texts),
                Admits::Certificate => {}
            }
        }
        each(&mut self.scopes, |api, rules| {
            api.share(texts);
            rules.iter_mut().for_each(|rule| rule.scope.share(texts));
        });
        for eligible in &mut self.elevation {
            eligible.api.share(texts);
            eligible.scope.share(texts);
        }
    }
}

impl JwtRule {
    fn share(&mut self, texts: &mut SharedTexts) {
        match self.kind {
            JwtKind::Oidc => self.issuer.share(texts),
            // It is the id of the client.
            JwtKind::Key => {}
        }
        match &mut self.keys {
            KeySource::Discovery(issuer) => issuer.share(texts),
            KeySource::JwksUri(_) | KeySource::Inline(_) | KeySource::BundleUrl(_) | KeySource::InlineBundle(_) => {}
        }
        self.matchers.iter_mut().map(|matcher| &mut matcher.claim).chain(&mut self.owner).for_each(|claim| claim.share(texts));
    }
}

/// Changes keys in a way that leaves their order.
fn each<K: Ord, V>(map: &mut LiteMap<K, V>, mut change: impl FnMut(&mut K, &mut V)) {
    let mut all = std::mem::take(map).into_tuple_vec();
    all.iter_mut().for_each(|(key, value)| change(key, value));
    *map = LiteMap::from_sorted_store_unchecked(all);
}
