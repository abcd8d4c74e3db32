//! A few roles in the order in which they were named. They take no room but their own: each approval has such a list, and so has each review.

use std::fmt;
use std::ops::Deref;

use serde::{Deserialize, Serialize, Serializer};

use super::actor::Role;

/// Roles in the order in which they were named. It is read as a slice.
#[derive(Clone, Copy, Eq, PartialEq, Deserialize)]
#[serde(try_from = "Vec<Role>")]
pub struct Roles {
    named: [Role; Self::MOST],
    count: u8,
}

impl Roles {
    /// As many as there are.
    const MOST: usize = 5;

    /// Those for which `keeps` holds.
    #[must_use]
    pub fn only(&self, keeps: impl Fn(Role) -> bool) -> Self {
        let mut kept = Self::default();
        self.iter().filter(|role| keeps(**role)).for_each(|role| kept.push(*role));
        kept
    }

    /// Invariant: there is room for it.
    fn push(&mut self, role: Role) {
        self.named[usize::from(self.count)] = role;
        self.count += 1;
    }
}

impl Default for Roles {
    fn default() -> Self {
        Self { named: [Role::Administrator; Self::MOST], count: 0 }
    }
}

impl Deref for Roles {
    type Target = [Role];

    fn deref(&self) -> &[Role] {
        &self.named[..usize::from(self.count)]
    }
}

impl<const N: usize> From<[Role; N]> for Roles {
    fn from(roles: [Role; N]) -> Self {
        const { assert!(N <= Self::MOST) };
        let mut all = Self::default();
        roles.into_iter().for_each(|role| all.push(role));
        all
    }
}

impl TryFrom<Vec<Role>> for Roles {
    type Error = &'static str;

    fn try_from(roles: Vec<Role>) -> Result<Self, Self::Error> {
        if roles.len() > Self::MOST {
            return Err("expected at most five roles");
        }
        let mut all = Self::default();
        roles.into_iter().for_each(|role| all.push(role));
        Ok(all)
    }
}

impl Serialize for Roles {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

impl fmt::Debug for Roles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_are_read_and_written_as_a_list() {
        for text in
            ["[]", r#"["security"]"#, r#"["security","owner"]"#, r#"["owner","owner","auditor","reporter","administrator"]"#]
        {
            let roles: Roles = serde_json::from_str(text).expect("roles");
            assert_eq!(serde_json::to_string(&roles).expect("JSON"), text);
        }
        assert!(serde_json::from_str::<Roles>(r#"["owner","owner","owner","owner","owner","owner"]"#).is_err());
        let both = Roles::from([Role::Owner, Role::Security]);
        assert_eq!((both.only(|role| role == Role::Security), both.len()), (Roles::from([Role::Security]), 2));
    }
}
