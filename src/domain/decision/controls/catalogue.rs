//! What each control of a framework asks for, in our own words, and the criteria that it holds by.

use super::criterion::Criterion::{
    self, ApprovedByTwo, AudiencesApart, BindingsApart, BindingsNameTheCaller, BreakGlassReviewed, ContractInForce,
    ElevationsApproved, EndedOffboarded, KeysFetchedSafely, LogUnbroken, NoBindingOfPeople, OffboardingsComplete, OwnersKnown,
    PartnerVerified, ReviewsOnTime, RevocationsListed, ScopesRated, SignalsActedOn, StaticSecretsOnTime, TokensForOneAudience,
    TokensOnProof, TokensShortLived, TokensWithinRecord,
};
use crate::domain::registry::framework::Framework;

/// A control.
#[derive(Clone, Copy, Debug)]
pub struct Control {
    /// Its name in the framework.
    pub id: &'static str,
    /// Its name in an earlier version, where that is still asked for.
    pub also: Option<&'static str>,
    /// What it asks for.
    pub asks: &'static str,
    /// What must hold. A control without any is not covered: the broker knows nothing of it.
    pub criteria: &'static [Criterion],
}

/// The controls of a framework.
pub const fn controls(framework: Framework) -> &'static [Control] {
    match framework {
        Framework::AiRmf => &AI_RMF,
        Framework::NistCsf => &NIST_CSF,
        Framework::OwaspNhi => &OWASP_NHI,
        Framework::Sp800207 => &SP_800_207,
    }
}

const fn control(id: &'static str, asks: &'static str, criteria: &'static [Criterion]) -> Control {
    Control { id, also: None, asks, criteria }
}

const fn renamed(id: &'static str, also: &'static str, asks: &'static str, criteria: &'static [Criterion]) -> Control {
    Control { id, also: Some(also), asks, criteria }
}

const OWASP_NHI: [Control; 10] = [
    control(
        "NHI1:2025",
        "Access whose reason is over is offboarded, and nobody's access is left without an owner.",
        &[EndedOffboarded, OffboardingsComplete, OwnersKnown],
    ),
    control(
        "NHI2:2025",
        "A secret that leaks is of little use: tokens live for minutes, and what is reported or revoked is cut everywhere.",
        &[TokensShortLived, SignalsActedOn, RevocationsListed],
    ),
    control(
        "NHI3:2025",
        "A third party is verified, looked at again in time, and stopped when it is reported.",
        &[PartnerVerified, ReviewsOnTime, SignalsActedOn],
    ),
    control(
        "NHI4:2025",
        "Workloads prove themselves with keys of their own, and each proof names the workload.",
        &[BindingsNameTheCaller, TokensOnProof],
    ),
    control(
        "NHI5:2025",
        "Nobody has more than two people approved, for longer than a review confirmed it.",
        &[ApprovedByTwo, ElevationsApproved, ReviewsOnTime, TokensWithinRecord],
    ),
    control(
        "NHI6:2025",
        "Deployment pipelines bring no secret: their platform vouches for them, and the vouching is bound to the one pipeline.",
        &[BindingsNameTheCaller, KeysFetchedSafely],
    ),
    control(
        "NHI7:2025",
        "No secret lives long: tokens end within minutes, and static secrets at their date.",
        &[StaticSecretsOnTime, TokensShortLived],
    ),
    control("NHI8:2025", "What counts in one environment counts in no other.", &[AudiencesApart, TokensForOneAudience]),
    control("NHI9:2025", "No two integrations share an identity.", &[BindingsApart]),
    control("NHI10:2025", "People do not act as workloads.", &[NoBindingOfPeople]),
];

const NIST_CSF: [Control; 17] = [
    control("GV.RR-02", "It is known who answers for each access, and two people answer.", &[OwnersKnown, ApprovedByTwo]),
    control("GV.SC-02", "Roles are set on both sides: owners here, a verified company there.", &[OwnersKnown, PartnerVerified]),
    control(
        "GV.SC-04",
        "Suppliers are known and ranked by the damage that their access could do.",
        &[PartnerVerified, ScopesRated],
    ),
    control("GV.SC-05", "Access rests on a contract, and no token is outside of it.", &[ContractInForce, TokensWithinRecord]),
    control("GV.SC-06", "A supplier is verified before it gets access.", &[PartnerVerified, ApprovedByTwo]),
    control("GV.SC-07", "Suppliers are watched as long as they have access.", &[ReviewsOnTime, SignalsActedOn]),
    control("GV.SC-10", "What follows the end of a contract is planned and done.", &[EndedOffboarded, OffboardingsComplete]),
    control("ID.AM-04", "Services of suppliers are inventoried, with an owner each.", &[OwnersKnown, TokensWithinRecord]),
    control(
        "ID.AM-08",
        "Access is managed from its first day to its last.",
        &[ReviewsOnTime, StaticSecretsOnTime, EndedOffboarded, OffboardingsComplete],
    ),
    renamed(
        "PR.AA-01",
        "PR.AC-1",
        "Identities and credentials are issued by approval, and end.",
        &[ApprovedByTwo, StaticSecretsOnTime, TokensShortLived, OffboardingsComplete],
    ),
    control(
        "PR.AA-02",
        "A credential is bound to one identity that somebody checked.",
        &[BindingsNameTheCaller, BindingsApart],
    ),
    control("PR.AA-03", "Every workload is authenticated.", &[TokensOnProof]),
    control(
        "PR.AA-04",
        "What vouches for an identity is protected, is good for one place, and can be taken back.",
        &[TokensForOneAudience, TokensShortLived, RevocationsListed],
    ),
    renamed(
        "PR.AA-05",
        "PR.AC-4",
        "Permissions are the least, approved by others than those who ask, and looked at again.",
        &[ApprovedByTwo, ElevationsApproved, BreakGlassReviewed, ReviewsOnTime, TokensWithinRecord],
    ),
    control("PR.PS-04", "What happened is on record, and the record has no gap.", &[LogUnbroken]),
    control(
        "DE.CM-06",
        "What service providers do is watched, and reports are acted on.",
        &[SignalsActedOn, ReviewsOnTime, LogUnbroken],
    ),
    control(
        "RS.MI-01",
        "An incident is contained: what is cut is cut for everybody who asks.",
        &[RevocationsListed, SignalsActedOn],
    ),
];

const SP_800_207: [Control; 7] = [
    control("tenet 1", "Every API is a resource with a name, scopes and a risk each.", &[ScopesRated, AudiencesApart]),
    control("tenet 2", "Communication is secured wherever it comes from.", &[KeysFetchedSafely]),
    control(
        "tenet 3",
        "Access is granted to one resource for one session of minutes.",
        &[TokensShortLived, TokensForOneAudience],
    ),
    control("tenet 4", "Policy decides at each exchange, by the state of that second.", &[TokensWithinRecord, ContractInForce]),
    control("tenet 5", "The integrity of all assets is measured. The broker sees no partner's machine.", &[]),
    control(
        "tenet 6",
        "Authentication and authorization come before each access, and what is cut stays refused.",
        &[TokensOnProof, RevocationsListed],
    ),
    control("tenet 7", "What happens is collected, and is used to do better.", &[LogUnbroken, ReviewsOnTime]),
];

const AI_RMF: [Control; 6] = [
    control("GOVERN 1.6", "AI agents are inventoried, with owners.", &[OwnersKnown, ApprovedByTwo]),
    control("GOVERN 1.7", "AI agents are taken out of service safely.", &[EndedOffboarded, OffboardingsComplete]),
    control(
        "GOVERN 6.1",
        "The risks of third parties' agents are bound by contract and verification.",
        &[ContractInForce, PartnerVerified],
    ),
    control("GOVERN 6.2", "When a third party's agent fails, its access ends at once.", &[SignalsActedOn, EndedOffboarded]),
    control(
        "MANAGE 2.4",
        "An agent that acts against its purpose can be stopped: its tokens live for minutes, within its record.",
        &[TokensShortLived, TokensWithinRecord, SignalsActedOn],
    ),
    control("MANAGE 3.1", "The access of third parties' agents is looked at regularly.", &[ReviewsOnTime, StaticSecretsOnTime]),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_contract_names_these_controls() {
        let ids = |one: Framework| controls(one).iter().map(|control| control.id).collect::<Vec<_>>().join(" ");
        let nhi: Vec<String> = (1..=10).map(|number| format!("NHI{number}:2025")).collect();
        assert_eq!(ids(Framework::OwaspNhi), nhi.join(" "));
        assert_eq!(
            ids(Framework::NistCsf),
            "GV.RR-02 GV.SC-02 GV.SC-04 GV.SC-05 GV.SC-06 GV.SC-07 GV.SC-10 ID.AM-04 ID.AM-08 \
             PR.AA-01 PR.AA-02 PR.AA-03 PR.AA-04 PR.AA-05 PR.PS-04 DE.CM-06 RS.MI-01"
        );
        assert_eq!(ids(Framework::Sp800207), (1..=7).map(|n| format!("tenet {n}")).collect::<Vec<_>>().join(" "));
        assert_eq!(ids(Framework::AiRmf), "GOVERN 1.6 GOVERN 1.7 GOVERN 6.1 GOVERN 6.2 MANAGE 2.4 MANAGE 3.1");
    }

    /// A criterion that no control asks for would be judged for nobody, and a control that asks twice counts its items twice.
    #[test]
    fn every_criterion_is_asked_for_and_no_control_asks_twice() {
        let mut asked = BTreeSet::new();
        for control in Framework::ALL.into_iter().flat_map(controls) {
            let own: BTreeSet<Criterion> = control.criteria.iter().copied().collect();
            assert_eq!(own.len(), control.criteria.len(), "{}", control.id);
            assert_eq!(own.is_empty(), control.id == "tenet 5", "{}", control.id);
            asked.extend(own);
        }
        assert_eq!(asked, Criterion::ALL.into_iter().collect());
    }
}
