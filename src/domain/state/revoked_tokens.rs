//! Tokens that were revoked one by one, until they end by themselves.

use imbl::{HashMap, OrdSet};

use crate::domain::value::clock::Timestamp;
use crate::domain::value::names::{EnvironmentName, TokenId};

/// Revoked tokens with their environment and `exp`. Copies share what a change does not touch.
#[derive(Clone, Debug, Default)]
pub struct RevokedTokens {
    all: HashMap<TokenId, (EnvironmentName, Timestamp)>,
    /// The same, by their `exp`.
    ends: OrdSet<(Timestamp, TokenId)>,
}

impl RevokedTokens {
    /// Takes a token in.
    pub(in crate::domain) fn add(&mut self, id: &TokenId, environment: &EnvironmentName, expires: Timestamp) {
        if let Some((_, earlier)) = self.all.insert(id.clone(), (environment.clone(), expires)) {
            self.ends.remove(&(earlier, id.clone()));
        }
        self.ends.insert((expires, id.clone()));
    }

    /// Forgets those that expired before `horizon`.
    pub(in crate::domain) fn forget_expired(&mut self, horizon: Timestamp) {
        while let Some((expires, id)) = self.ends.get_min().filter(|(expires, _)| *expires < horizon).cloned() {
            self.all.remove(&id);
            self.ends.remove(&(expires, id));
        }
    }

    /// Whether a token was revoked by its id.
    pub fn contains(&self, id: &TokenId) -> bool {
        self.all.contains_key(id)
    }

    /// Each of them, with its environment and `exp`.
    pub fn iter(&self) -> impl Iterator<Item = (&TokenId, &(EnvironmentName, Timestamp))> {
        self.all.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::fixture::{at, production};

    #[test]
    fn a_token_is_forgotten_once_it_has_expired_and_not_before() {
        let mut tokens = RevokedTokens::default();
        let id = |name: &str| -> TokenId { name.parse().expect("an id") };
        for (name, expires) in [("t1", 600), ("t2", 60), ("t3", 60), ("t2", 900)] {
            tokens.add(&id(name), &production(), at(expires));
        }
        let left = |tokens: &RevokedTokens| ["t1", "t2", "t3"].map(|name| tokens.contains(&id(name)));
        for (horizon, expected) in
            [(60, [true, true, true]), (61, [true, true, false]), (601, [false, true, false]), (901, [false, false, false])]
        {
            tokens.forget_expired(at(horizon));
            assert_eq!(left(&tokens), expected, "{horizon}");
            assert_eq!(tokens.iter().count(), tokens.ends.len(), "{horizon}");
        }
    }
}
