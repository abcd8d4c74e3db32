//! What tells one state of the model from another.

use serde_json::json;

use super::steps::World;
use crate::domain::registry::approval::Kind;
use crate::domain::value::digest::Digest;

impl World {
    /// What tells this state from others, without its entries and their order.
    pub(super) fn summary(&self) -> Vec<u8> {
        let state = &self.state;
        let approvals: Vec<_> = state
            .approvals
            .values()
            .filter(|one| one.requested_by.person().is_some() || one.kind == Kind::Offboarding)
            .collect();
        let cases: Vec<_> = state
            .offboardings
            .all()
            .map(|(id, case)| {
                (id, &case.by, case.found.is_some(), &case.sign_off, case.abort.as_ref().map(|one| &one.0), case.manifest())
            })
            .collect();
        let integrations: Vec<_> = state
            .integrations
            .iter()
            .map(|(id, known)| {
                let versions = (
                    known.current.as_ref().map(|current| current.version),
                    known.held.as_ref().map(|held| (held.version.version, &held.version.by, &held.approval)),
                );
                let suspensions: Vec<_> = known.suspensions.iter().map(|one| (&one.id, &one.by)).collect();
                let exceptions: Vec<_> = known.open_exceptions().map(|(id, _)| id).collect();
                let places = known.reviews.places().map(|(name, place)| {
                    let word = place.word.as_ref().map(|word| (&word.by, word.second.is_some()));
                    json!([name, place.number(), place.due, place.asked.len(), word])
                });
                let reviews: Vec<_> = places.collect();
                json!([id, versions, suspensions, known.suspensions.resume(), exceptions, reviews])
            })
            .collect();
        let partners: Vec<_> = state
            .partners
            .iter()
            .map(|(name, known)| {
                let held = known.held.as_ref().map(|held| (held.version.version, &held.approval));
                let suspensions: Vec<_> = known.suspensions.iter().map(|one| (&one.id, &one.by)).collect();
                json!([
                    name,
                    known.current.as_ref().map(|current| current.version),
                    held,
                    suspensions,
                    known.suspensions.resume()
                ])
            })
            .collect();
        let apis: Vec<_> = state
            .apis
            .iter()
            .map(|(name, api)| {
                json!([name, api.current.as_ref().map(|one| one.version), api.held.as_ref().map(|one| &one.approval)])
            })
            .collect();
        let guardrails: Vec<_> = state
            .guardrails
            .all()
            .map(|(name, one)| {
                let versions = (one.current.as_ref().map(|one| one.version), one.held.as_ref().map(|one| &one.approval));
                json!([name, versions, one.removal, one.enforced, one.begun])
            })
            .collect();
        let stops: Vec<_> = state.revocations.values().map(|one| json!([one.id, one.by, one.lifted, one.lift])).collect();
        let closed: Vec<_> = state.closures.iter().map(|(name, _)| name).collect();
        let cuts: Vec<_> = state.staff_cuts.iter().map(|(person, _)| &person.id).collect();
        let all = json!([self.now, approvals, integrations, partners, apis, guardrails, stops, closed, cuts]);
        let campaigns: Vec<_> =
            state.recertification.campaigns.iter().map(|(id, one)| json!([id, one.by, one.approval, one.started])).collect();
        let counts = json!([self.suspensions, self.revocations, campaigns, cases]);
        Digest::of_json(&(all, counts)).0.to_vec()
    }
}
