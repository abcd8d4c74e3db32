//! Entries of the journal: issued tokens, refusals of known callers, and changes, in one order.
//!
//! Enter through [`Entry::parse`]. An entry is JSON text, and the Merkle leaf is over exactly those bytes. An entry
//! never has the text of a token.

use serde::{Deserialize, Serialize};

use super::change::{Attributed, Change};
use crate::domain::credential::possession::Possession;
use crate::domain::credential::revocation::Provenance;
use crate::domain::people::actor::Actor;
use crate::domain::reason::ReasonCode;
use crate::domain::reason::decision::Step;
use crate::domain::value::clock::Timestamp;
use crate::domain::value::digest::Digest;
use crate::domain::value::names::{
    ApiName, Audience, BindingName, ClientId, ElevationId, EnvironmentName, GuardrailName, Issuer, KeyId, RequestId, Serial,
    Subject, TokenId,
};

/// An entry as it was read.
#[derive(Clone, Debug)]
pub enum Entry {
    /// A token was issued.
    Issued(Box<Issued>),
    /// A known caller was refused.
    Refused(Box<RefusedEntry>),
    /// Refusals of strangers, or beyond a caller's quota, as a count.
    Counted(Counted),
    /// Something changed.
    Change(Box<ChangeEntry>),
}

/// An issued token: `kind: issued`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Issued {
    /// Its place in the log.
    pub index: u64,
    /// The store's time.
    pub time: Timestamp,
    /// `issued`.
    pub kind: IssuedKind,
    /// The client.
    pub subject: ClientId,
    /// The request.
    pub request_id: RequestId,
    /// The environment.
    pub environment: EnvironmentName,
    /// The token's id.
    pub jti: TokenId,
    /// Its expiry.
    pub exp: Timestamp,
    /// The API.
    pub api: ApiName,
    /// The API's audience there.
    pub audience: Audience,
    /// The scopes, separated by a space.
    pub scope: String,
    /// The binding.
    pub binding: BindingName,
    /// The version of the record that allowed it.
    pub record: Digest,
    /// The signing key.
    pub kid: KeyId,
    /// SHA-256 of the bytes that are signed.
    pub claims: Digest,
    /// The ceiling that ended its life.
    pub ceiling: String,
    /// The proof that paid for it.
    pub proof: ProofOnRecord,
    /// The certificate that it is bound to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<CertificateOnRecord>,
    /// The trust domain of the X.509-SVID that it is bound to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub beside: Option<Issuer>,
    /// The elevations that its scope rests on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub elevations: Vec<ElevationId>,
    /// What it is bound to; absent in entries that are older than this field.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub possession: Option<Possession>,
    /// The set of guardrails that was in force; absent if there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guardrails: Option<Digest>,
    /// The guardrails in shadow that would have refused it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shadow: Vec<GuardrailName>,
}

/// The facts about a client certificate that an entry has.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CertificateOnRecord {
    /// Its serial number.
    pub serial: Serial,
    /// The key of the authority that issued it.
    pub authority: KeyId,
}

/// The facts about a proof that an entry has.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ProofOnRecord {
    /// Its issuer.
    pub issuer: Issuer,
    /// Another issuer that it names: the `iss` of a JWT-SVID, or its trust domain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub named: Option<Issuer>,
    /// Its subject.
    pub subject: Subject,
    /// The thumbprint of the key that signed it.
    pub key: Digest,
    /// The digest of (issuer, `jti`), if it has a `jti`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<Digest>,
    /// Its expiry.
    pub expires: Timestamp,
}

/// The word `issued`.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IssuedKind {
    /// `issued`.
    Issued,
}

/// A refusal of a known caller: `kind: refused`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RefusedEntry {
    /// Its place in the log.
    pub index: u64,
    /// The store's time.
    pub time: Timestamp,
    /// `refused`.
    pub kind: RefusedKind,
    /// The caller.
    pub subject: ClientId,
    /// The request.
    pub request_id: RequestId,
    /// The environment.
    pub environment: EnvironmentName,
    /// The reason.
    pub reason: ReasonCode,
    /// The checks, bounded.
    pub tree: Vec<Step>,
}

/// The word `refused`.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RefusedKind {
    /// `refused`.
    Refused,
}

/// Refusals of one minute, counted by reason: `kind: refusals`.
///
/// They are refusals of strangers, or beyond the quota of a caller.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Counted {
    /// Its place in the log.
    pub index: u64,
    /// The store's time.
    pub time: Timestamp,
    /// `refusals`.
    pub kind: CountedKind,
    /// The environment, or the caller whose quota was used up.
    pub subject: String,
    /// The number of refusals, by reason.
    pub counts: std::collections::BTreeMap<String, u64>,
}

/// The word `refusals`.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CountedKind {
    /// `refusals`.
    Refusals,
}

/// A change with its place in the log.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ChangeEntry {
    /// Its place in the log.
    pub index: u64,
    /// The store's time.
    pub time: Timestamp,
    /// The subject of the change.
    pub subject: String,
    /// The request that caused it, if one did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<RequestId>,
    /// The change before this one, so that no change can be removed from the log unseen.
    ///
    /// `None` in the first entry.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prior: Option<u64>,
    /// The change.
    #[serde(flatten)]
    pub change: Attributed,
}

impl ChangeEntry {
    /// Reads the entry of a change of this kind.
    fn read(kind: &str, bytes: &[u8]) -> Result<Self, serde_json::Error> {
        /// The members that do not depend on the kind.
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Head {
            index: u64,
            time: Timestamp,
            subject: String,
            request_id: Option<RequestId>,
            prior: Option<u64>,
            by: Actor,
        }
        let what = Change::read(kind, bytes)?;
        let Head { index, time, subject, request_id, prior, by } = serde_json::from_slice(bytes)?;
        Ok(Self { index, time, subject, request_id, prior, change: Attributed { by, what } })
    }
}

impl Issued {
    /// The facts that the token was made from.
    pub fn provenance(&self) -> Provenance {
        Provenance {
            client: self.subject.clone(),
            environment: self.environment.clone(),
            binding: self.binding.clone(),
            issuer: self.proof.issuer.clone(),
            named: self.proof.named.clone(),
            kid: self.kid.clone(),
            api: self.api.clone(),
            certificate: self.certificate.as_ref().map(|shown| (shown.serial.clone(), shown.authority.clone())),
            beside: self.beside.clone(),
            elevations: self.elevations.clone(),
        }
    }
}

impl Entry {
    /// Reads an entry of our own log. An entry that cannot be read is an inconsistency.
    pub fn parse(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        #[derive(Deserialize)]
        struct Head {
            kind: String,
        }
        let head: Head = serde_json::from_slice(bytes)?;
        Ok(match head.kind.as_str() {
            "issued" => Self::Issued(serde_json::from_slice(bytes)?),
            "refused" => Self::Refused(serde_json::from_slice(bytes)?),
            "refusals" => Self::Counted(serde_json::from_slice(bytes)?),
            kind => Self::Change(Box::new(ChangeEntry::read(kind, bytes)?)),
        })
    }

    /// Its place in the log.
    pub fn index(&self) -> u64 {
        match self {
            Self::Issued(entry) => entry.index,
            Self::Refused(entry) => entry.index,
            Self::Counted(entry) => entry.index,
            Self::Change(entry) => entry.index,
        }
    }

    /// The store's time when it was written.
    pub fn time(&self) -> Timestamp {
        match self {
            Self::Issued(entry) => entry.time,
            Self::Refused(entry) => entry.time,
            Self::Counted(entry) => entry.time,
            Self::Change(entry) => entry.time,
        }
    }

    /// The subject, as its row has it.
    pub fn subject(&self) -> String {
        match self {
            Self::Issued(entry) => entry.subject.to_string(),
            Self::Refused(entry) => entry.subject.to_string(),
            Self::Counted(entry) => entry.subject.clone(),
            Self::Change(entry) => entry.subject.clone(),
        }
    }

    /// All kinds of entries.
    pub fn kinds() -> impl Iterator<Item = &'static str> {
        ["issued", "refused", "refusals"].into_iter().chain(Change::kinds())
    }

    /// Its kind: `issued`, `refused`, `refusals`, or the change's.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Issued(_) => "issued",
            Self::Refused(_) => "refused",
            Self::Counted(_) => "refusals",
            Self::Change(entry) => entry.change.what.kind(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::examples::{Examples, targets};
    use crate::domain::log::archive::Segment;
    use crate::domain::log::journal::JournalChange;
    use crate::domain::log::revocation::RevocationChange;

    /// Writes a change as an entry, with and without the optional fields, and reads it again.
    fn reads_back(change: &Attributed) {
        for (request_id, prior) in [(None, None), (Some("r1".parse().expect("an id")), Some(6))] {
            let subject = change.what.subject();
            let entry =
                ChangeEntry { index: 7, time: Timestamp::default(), subject, request_id, prior, change: change.clone() };
            let written = serde_json::to_string(&entry).expect("written");
            let read = Entry::parse(written.as_bytes()).unwrap_or_else(|error| panic!("{error}: {written}"));
            let Entry::Change(read) = read else { panic!("a change: {written}") };
            assert_eq!(serde_json::to_string(&*read).expect("written"), written);
        }
    }

    /// A member of a change must not have the name of a member of the entry.
    ///
    /// Nobody could read such an entry again, and the journal would not open.
    #[test]
    fn every_kind_of_change_reads_back_as_it_was_written() {
        let examples = Examples::sealed().changes();
        examples.iter().for_each(|example| reads_back(&example.change));
        // Changes that the journal makes itself.
        let made = [
            JournalChange::Reopened {
                epoch: 2,
                mints_from: Timestamp::default(),
                corrects: Some(Timestamp::default()),
                again: 3,
                forgotten: 2,
            },
            JournalChange::Reopened { epoch: 2, mints_from: Timestamp::default(), corrects: None, again: 0, forgotten: 0 },
            JournalChange::FormatRaised { to: 2 },
            JournalChange::Archived(Segment { first: 0, until: 256, digest: Digest::of(b"a segment") }),
            JournalChange::CheckpointKeySucceeded { statement: "log\ncheckpoint key a\nsucceeded by b\n".to_owned() },
            JournalChange::Moved { to: "postgres://db/carnet".to_owned(), size: 7, root: Digest::of(b"a root") },
            JournalChange::Arrived { from: "sqlite:///journal.db".to_owned(), size: 8, root: Digest::of(b"a root") },
        ];
        let made = made.map(|what| what.by(Actor::Broker));
        made.iter().for_each(reads_back);
        let all = examples.iter().map(|example| &example.change).chain(&made);
        let kinds: std::collections::BTreeSet<&str> = all.map(|change| change.what.kind()).collect();
        assert_eq!(kinds, Change::kinds().collect());
    }

    #[test]
    fn an_entry_of_no_kind_of_ours_is_refused() {
        let entry = |kind: &str, rest: &str| {
            format!(r#"{{"index":7,"time":0,"subject":"x","by":"broker","kind":"{kind}","environment":"production"{rest}}}"#)
        };
        let retired = entry("key.retired", r#","kid":"k1""#);
        assert!(Entry::parse(retired.as_bytes()).is_ok(), "{retired}");
        for (body, told) in [
            (entry("key.forgotten", r#","kid":"k1""#), "unknown kind"),
            (entry("key", r#","kid":"k1""#), "unknown kind"),
            (entry("key.retired", ""), "missing field `kid`"),
            (entry("key.retired", r#","kid":"k1","kid":"k2""#), "duplicate field"),
            (retired.replace(r#""by":"broker","#, ""), "missing field `by`"),
            (retired.replace(r#""by":"broker","#, r#""by":"broker","by":"operator","#), "duplicate field"),
        ] {
            let fault = Entry::parse(body.as_bytes()).expect_err("refused").to_string();
            assert!(fault.contains(told), "{fault}: {body}");
        }
    }

    #[test]
    fn every_target_of_a_revocation_reads_back_with_and_without_its_client() {
        let client = "globex/order-sync".parse().expect("a client");
        for (target, client) in targets().into_iter().flat_map(|target| [(target.clone(), None), (target, Some(&client))]) {
            let (id, reason, client) = ("v1".parse().expect("an id"), "leaked".into(), client.cloned());
            let what = RevocationChange::Added { id, target, tokens_only: false, reason, client };
            reads_back(&what.by(Actor::Broker));
        }
    }
}
