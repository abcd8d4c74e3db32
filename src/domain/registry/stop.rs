//! Revocations, as the state knows them, and the version that their lift names. Suspensions have a file of their own.

use super::binding::Admits;
use crate::domain::credential::revocation::RevocationTarget;
use crate::domain::people::actor::Actor;
use crate::domain::value::clock::Timestamp;
use crate::domain::value::digest::Digest;
use crate::domain::value::names::{ApprovalId, IntegrationId, RevocationId};
use crate::domain::value::text::Text;

/// A revocation and whether it still refuses later exchanges.
#[derive(Clone, Debug)]
pub struct Revocation {
    /// Its id.
    pub id: RevocationId,
    /// The target that it cuts.
    pub target: RevocationTarget,
    /// The proofs that the binding admitted when it was revoked, where the target is a binding.
    pub admitted: Option<Admits>,
    /// The integration whose certificate the target is, where it is one: the certificate itself is forgotten soon after its end.
    pub integration: Option<IntegrationId>,
    /// Cuts what was issued and refuses nothing later.
    pub tokens_only: bool,
    /// The person or workload that revoked.
    pub by: Actor,
    /// Why.
    pub reason: Text,
    /// When.
    pub at: Timestamp,
    /// The entry.
    pub index: u64,
    /// The approval that would lift it.
    pub lift: Option<ApprovalId>,
    /// Lifted: later exchanges are allowed again.
    pub lifted: bool,
}

impl Revocation {
    /// Whether it refuses later exchanges.
    pub fn refuses(&self) -> bool {
        !self.lifted && !self.tokens_only
    }

    /// The version of an approval that lifts it: all that was revoked, by whom, when and why.
    pub fn version(&self) -> Digest {
        Digest::of_json(&("revoked", &self.id, &self.target, self.tokens_only, &self.by, &self.reason, self.at, self.index))
    }
}
