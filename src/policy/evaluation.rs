//! Evaluates policies: which guardrails forbid, and which fail.

use std::collections::HashMap;

use cedar_policy::{AuthorizationError, Authorizer, Decision, Entities, Policy, PolicyId, PolicySet, Request};

use super::compiled::Compiled;
use super::question::Unaskable;
use crate::domain::decision::guard::Forbidding;

/// Guardrails that are evaluated together.
#[derive(Debug, Default)]
pub(super) struct Group {
    policies: PolicySet,
    /// The guardrail of each policy.
    owners: HashMap<PolicyId, usize>,
    guardrails: Vec<Forbidding>,
}

/// Why a group could not be made.
#[derive(Debug)]
pub(super) struct Ungrouped;

impl Group {
    /// Makes a group of guardrails.
    pub fn of<'a>(guardrails: impl Iterator<Item = &'a Compiled>) -> Result<Self, Ungrouped> {
        let mut group = Self::default();
        for (at, one) in guardrails.enumerate() {
            group.owners.extend(one.policies.iter().map(|policy| (policy.id().clone(), at)));
            for policy in &one.policies {
                group.policies.add(policy.clone()).map_err(|_| Ungrouped)?;
            }
            let (guardrail, meaning) = (one.name.clone(), one.meaning.clone());
            group.guardrails.push(Forbidding { guardrail, meaning, failed: None });
        }
        if !group.is_empty() {
            // What no guardrail forbids is for the record to say.
            let permit = Policy::parse(Some(PolicyId::new("permit")), "permit (principal, action, resource);");
            group.policies.add(permit.map_err(|_| Ungrouped)?).map_err(|_| Ungrouped)?;
        }
        Ok(group)
    }

    /// Whether it has no guardrail.
    pub fn is_empty(&self) -> bool {
        self.guardrails.is_empty()
    }

    /// The guardrails that refuse.
    ///
    /// One that fails refuses, and so do all of them if the question cannot be put.
    pub fn refusing(&self, question: Result<(&Request, &Entities), Unaskable>) -> Vec<Forbidding> {
        if self.is_empty() {
            return Vec::new();
        }
        let (request, entities) = match question {
            Ok(question) => question,
            Err(fault) => return self.all_failed(&fault),
        };
        let response = Authorizer::new().is_authorized(request, &self.policies, entities);
        let mut refusing: HashMap<usize, Forbidding> = HashMap::new();
        for error in response.diagnostics().errors() {
            let AuthorizationError::PolicyEvaluationError(failed) = error;
            let fault: String = failed.inner().to_string().chars().filter(|c| !c.is_control()).take(200).collect();
            match self.owner(failed.policy_id()) {
                Some((at, owner)) => drop(refusing.insert(at, Forbidding { failed: Some(fault), ..owner })),
                None => return self.all_failed(&fault),
            }
        }
        if response.decision() == Decision::Deny {
            let forbidding: Vec<_> = response.diagnostics().reason().map(|id| self.owner(id)).collect();
            // Without a policy that forbids, the permit itself did not hold.
            if (forbidding.is_empty() && refusing.is_empty()) || forbidding.iter().any(Option::is_none) {
                return self.all_failed("Cedar denies, and names no guardrail");
            }
            refusing.extend(forbidding.into_iter().flatten());
        }
        refusing.into_values().collect()
    }

    fn owner(&self, id: &PolicyId) -> Option<(usize, Forbidding)> {
        let at = *self.owners.get(id)?;
        Some((at, self.guardrails.get(at)?.clone()))
    }

    fn all_failed(&self, fault: &str) -> Vec<Forbidding> {
        self.guardrails.iter().map(|one| Forbidding { failed: Some(fault.to_owned()), ..one.clone() }).collect()
    }
}
