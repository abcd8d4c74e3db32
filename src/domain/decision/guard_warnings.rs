//! Tells the authors of records what guardrails would refuse of them.

use super::guard_check::Finding;
use crate::domain::reason;
use crate::domain::record::{Fault, Located, Record};

/// The most warnings: more than that nobody reads at once.
const MOST: usize = 100;

/// The findings as warnings about the records that they are about.
///
/// A finding stands at its integration, or else at its guardrail. One of which neither is among the records is left out.
pub fn warnings(records: &[Located], findings: &[Finding]) -> Vec<Fault> {
    let integration = |finding: &Finding| {
        records.iter().find(|one| matches!(&one.record, Record::Integration(record) if record.id == finding.integration))
    };
    let guardrail = |finding: &Finding| {
        records.iter().find(|one| matches!(&one.record, Record::Guardrail(record) if record.name == finding.guardrail))
    };
    let warning = |finding: &Finding| {
        let message = message(finding);
        match integration(finding) {
            Some(located) => {
                let at = format!("environments.{}", finding.environment);
                Some(located.warning(&at, &reason::GUARDRAIL_FORBIDS, message))
            }
            None => Some(guardrail(finding)?.warning("cedar", &reason::GUARDRAIL_FORBIDS, message)),
        }
    };
    findings.iter().filter_map(warning).take(MOST).collect()
}

fn message(finding: &Finding) -> String {
    let Finding { guardrail, shadow, integration, environment, api, scope, way, when } = finding;
    let verb = if *shadow { "in shadow would refuse" } else { "refuses" };
    let when = if when.is_empty() { "always".to_owned() } else { format!("sometimes ({})", when.join("; ")) };
    format!("guardrail {guardrail} {verb} {api} {scope} ({}) to {integration} in {environment}: {when}", way.name())
}
