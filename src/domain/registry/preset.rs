//! Presets: the platforms whose tokens a record admits by a shorthand, as one table.
//!
//! Enter through [`Preset::row`]. Reader, writer, lint, schema and the words of faults walk the rows, so a new platform is a variant and its
//! row here. Claim names come from GitHub's "OpenID Connect reference" (`repository_id`, `repository_owner_id`), GitLab's "ID token
//! authentication" (`project_id`, `namespace_id`) and the Kubernetes "Schema for service account private claims" (`kubernetes.io`).

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::domain::value::clock::Seconds;

/// Shorthands that expand to an `oidc` rule with immutable claims first.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Preset {
    /// GitHub Actions.
    Github,
    /// GitLab CI.
    Gitlab,
    /// Kubernetes service account tokens.
    Kubernetes,
    /// A workload of a SPIFFE trust domain, by JWT-SVID or X.509-SVID.
    Spiffe,
}

/// One platform: the keys of its shorthand, and the rule that they stand for.
#[derive(Debug)]
pub struct Row {
    /// The key of the shorthand in a binding, and the preset's word in an entry.
    pub name: &'static str,
    /// Keys that a record must have: immutable ids, each with the claim that it is compared with.
    pub ids: &'static [Id],
    /// Keys that a record may have; each is also the name of its claim.
    pub more: &'static [&'static str],
    /// Where tokens come from.
    pub issuer: Source,
    /// The claims that name the partner, on a platform that others use too.
    pub owner: &'static [&'static str],
    /// Values of `typ` besides those that every workload's token may have.
    pub typ: &'static [&'static str],
    /// The limits on a proof where the record sets none.
    pub settings: Settings,
}

/// An immutable id.
#[derive(Debug)]
pub struct Id {
    /// Its key in the record.
    pub key: &'static str,
    /// The claim that must equal it: a name, or a JSON Pointer.
    pub claim: &'static str,
    /// What it looks like.
    pub form: IdForm,
}

/// What an id looks like. A name, which its owner can change and another can take, has none of these forms.
#[derive(Clone, Copy, Debug)]
pub enum IdForm {
    /// 1 to 20 digits.
    Digits,
    /// A DNS label.
    Label,
    /// A UUID in lower case.
    Uid,
    /// `spiffe://TRUST-DOMAIN/PATH`.
    SpiffeId,
}

/// Where the tokens of a platform come from, and where their keys are.
#[derive(Clone, Copy, Debug)]
pub enum Source {
    /// This issuer, unless the record names another. Others use it too. Keys come from discovery.
    Shared(&'static str),
    /// The issuer that the record names. Keys come from discovery.
    Named,
    /// The trust domain of the SPIFFE ID. Keys are in the bundle that the record names.
    TrustDomain,
}

/// The limits on a proof where the record sets none.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// `singleUse`.
    pub single_use: bool,
    /// `maxLife`.
    pub max_life: Seconds,
    /// When `maxAge` is set.
    pub aged: Aged,
}

/// When a proof has a `maxAge` that the record does not set.
#[derive(Clone, Copy, Debug)]
pub enum Aged {
    /// Where it can be presented more than once.
    WhereReused,
    /// Always.
    Always,
}

const GITHUB: Row = Row {
    name: "github",
    ids: &[
        Id { key: "repositoryId", claim: "repository_id", form: IdForm::Digits },
        Id { key: "ownerId", claim: "repository_owner_id", form: IdForm::Digits },
    ],
    more: &["ref", "environment"],
    issuer: Source::Shared("https://token.actions.githubusercontent.com"),
    owner: &["repository_owner_id"],
    typ: &[],
    settings: Settings { single_use: true, ..REUSED },
};

const GITLAB: Row = Row {
    name: "gitlab",
    ids: &[
        Id { key: "projectId", claim: "project_id", form: IdForm::Digits },
        Id { key: "namespaceId", claim: "namespace_id", form: IdForm::Digits },
    ],
    more: &["ref", "environment"],
    issuer: Source::Shared("https://gitlab.com"),
    owner: &["namespace_id"],
    typ: &[],
    settings: Settings { max_life: Seconds::hours(24), ..REUSED },
};

const KUBERNETES: Row = Row {
    name: "kubernetes",
    ids: &[
        Id { key: "namespace", claim: "/kubernetes.io/namespace", form: IdForm::Label },
        Id { key: "serviceAccountUid", claim: "/kubernetes.io/serviceaccount/uid", form: IdForm::Uid },
    ],
    more: &[],
    issuer: Source::Named,
    // A cluster's issuer is the partner's own.
    owner: &[],
    typ: &[],
    settings: REUSED,
};

const SPIFFE: Row = Row {
    name: "spiffe",
    ids: &[Id { key: "id", claim: "sub", form: IdForm::SpiffeId }],
    more: &[],
    issuer: Source::TrustDomain,
    owner: &[],
    // JWT-SVID section 3.3 allows JOSE besides JWT.
    typ: &["JOSE"],
    // SVIDs are presented again until they end, and have no `jti`.
    settings: Settings { aged: Aged::Always, ..REUSED },
};

/// A platform that hands a workload the same token until it expires: reusable, so its age is bounded.
const REUSED: Settings = Settings { single_use: false, max_life: Seconds::hours(1), aged: Aged::WhereReused };

impl Preset {
    /// All presets, in the order in which messages name them.
    pub const ALL: [Self; 4] = [Self::Github, Self::Gitlab, Self::Kubernetes, Self::Spiffe];

    /// Its row of the table.
    pub const fn row(self) -> &'static Row {
        match self {
            Self::Github => &GITHUB,
            Self::Gitlab => &GITLAB,
            Self::Kubernetes => &KUBERNETES,
            Self::Spiffe => &SPIFFE,
        }
    }

    /// Whether it takes the workload's client certificate (X.509-SVID) besides its token.
    pub const fn takes_certificates(self) -> bool {
        matches!(self.row().issuer, Source::TrustDomain)
    }
}

impl Row {
    /// The issuer of the platform, where others use it too.
    pub const fn shared_issuer(&self) -> Option<&'static str> {
        match self.issuer {
            Source::Shared(issuer) => Some(issuer),
            Source::Named | Source::TrustDomain => None,
        }
    }
}

impl Settings {
    /// Whether a proof that is presented once, or more than once, has the longest `maxAge` where the record sets none.
    pub const fn is_aged(&self, single_use: bool) -> bool {
        match self.aged {
            Aged::WhereReused => !single_use,
            Aged::Always => true,
        }
    }
}

impl fmt::Display for Preset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.row().name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::examples::coverage::variants;

    #[test]
    fn the_table_has_every_preset_under_the_name_that_entries_have() {
        let rows: Vec<_> = Preset::ALL.into_iter().map(|preset| preset.row().name).collect();
        assert_eq!(rows, variants::<Preset>().1);
        for preset in Preset::ALL {
            assert_eq!(serde_json::to_value(preset).expect("a word"), preset.row().name);
        }
    }

    /// P-01, P-04: the exact values of a row must keep strangers of the same platform out.
    #[test]
    fn rows_name_the_partner_by_claims_that_they_compare() {
        for preset in Preset::ALL {
            let Row { name, ids, more, issuer, owner, .. } = preset.row();
            let controlled = crate::domain::registry::binding::JwtRule::CALLER_CONTROLLED;
            assert!(!ids.is_empty() && ids.iter().all(|id| !controlled.contains(&id.claim)), "{name}");
            assert!(owner.iter().all(|claim| ids.iter().any(|id| id.claim == *claim)), "{name}");
            // At an issuer of others, a token of anybody is taken for the partner's unless a claim names the partner.
            assert!(!matches!(issuer, Source::Shared(_)) || !owner.is_empty(), "{name}");
            assert!(more.iter().all(|key| ids.iter().all(|id| id.key != *key)), "{name}");
        }
    }

    /// A token's `iss` is compared byte for byte, and an issuer that two rows shared would not tell their platforms apart.
    #[test]
    fn shared_issuers_are_of_one_platform_each_as_it_publishes_them() {
        let shared: Vec<_> = Preset::ALL.into_iter().filter_map(|preset| preset.row().shared_issuer()).collect();
        let once: std::collections::BTreeSet<_> = shared.iter().collect();
        assert!(!shared.is_empty() && once.len() == shared.len(), "{shared:?}");
        for known in ["https://token.actions.githubusercontent.com", "https://gitlab.com"] {
            assert!(shared.contains(&known), "{known}");
        }
        for issuer in shared {
            let read: crate::domain::value::names::Issuer = issuer.parse().expect("an issuer");
            assert!(read.as_str() == issuer && issuer.starts_with("https://") && !issuer.ends_with('/'), "{issuer}");
        }
    }
}
