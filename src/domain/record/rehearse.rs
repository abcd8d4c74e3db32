//! The `tests:` of a record: its own examples, run before it is stored.
//!
//! Claims are held against issuer and conditions by the same functions that admission uses. Signature, audience and times are
//! not part of an example, so a test can tell `issuer.unknown`, `binding.no-match` and which binding admits.

use serde_json::{Map, Value};

use super::fault::Fault;
use super::kind::Record;
use super::located::Located;
use crate::domain::caller::conditions::conditions;
use crate::domain::reason::{self, Reason};
use crate::domain::registry::binding::{Admits, Binding, JwtKind};
use crate::domain::registry::integration::{Integration, RecordTest};
use crate::domain::value::effort::{Effort, Exhausted};
use crate::domain::value::names::{BindingName, Subject};

/// Runs the tests of a record; a fault for each with another outcome than it expects.
///
/// One more fault where they take more steps than `effort` has.
pub fn run(located: &Located, effort: &mut Effort) -> Vec<Fault> {
    let Record::Integration(integration) = &located.record else { return Vec::new() };
    let mut faults = Vec::new();
    for (i, test) in integration.tests.iter().enumerate() {
        if let Err(Exhausted { most }) = effort.take(steps(integration, test)) {
            let tests = integration.tests.len();
            let message = format!("to run the {tests} tests takes more than the {most} steps that one request may");
            faults.push(located.error("tests", &reason::RECORD_EFFORT, message));
            break;
        }
        if let Err(message) = judge(integration, test) {
            faults.push(located.error(&format!("tests[{i}]"), &reason::RECORD_TEST_FAILED, message));
        }
    }
    faults
}

/// The most steps of a test: its claims with each value of each binding of its environment.
fn steps(integration: &Integration, test: &RecordTest) -> usize {
    let bindings = integration.environments.get(&test.expect.environment).map_or(&[][..], |access| &access.bindings);
    let steps = bindings.iter().map(|binding| match &binding.admits {
        Admits::Jwt(rule) => rule.matchers.iter().map(|matcher| matcher.condition.size() + 1).sum::<usize>(),
        Admits::Certificate => 0,
    });
    // The claims are copied.
    steps.sum::<usize>() + test.claims.len() + 1
}

fn judge(integration: &Integration, test: &RecordTest) -> Result<(), String> {
    let environment = &test.expect.environment;
    let access =
        integration.environments.get(environment).ok_or_else(|| format!("the record has no environment {environment}"))?;
    let seen = outcome(&access.bindings, &test.claims);
    match (&test.expect.allow, &test.expect.deny, seen) {
        (Some(wanted), _, Ok(binding)) if binding == wanted => Ok(()),
        (_, Some(wanted), Err(refusal)) if refusal.code == wanted => Ok(()),
        (Some(wanted), _, Ok(binding)) => Err(format!("expected {wanted} to admit these claims, and {binding} does")),
        (Some(wanted), _, Err(refusal)) => Err(format!("expected {wanted} to admit these claims: {refusal}")),
        (None, Some(wanted), Ok(binding)) => Err(format!("expected {wanted}, and {binding} admits these claims")),
        (None, Some(wanted), Err(refusal)) => Err(format!("expected {wanted}, and the outcome is {refusal}")),
        (None, None, _) => Err("the test expects nothing".to_owned()),
    }
}

/// The first binding that admits the claims, in the order of the record.
///
/// All bindings of one environment give the same rights.
fn outcome<'a>(bindings: &'a [Binding], claims: &Map<String, Value>) -> Result<&'a BindingName, &'static Reason> {
    let issuer = claims.get("iss").and_then(Value::as_str).unwrap_or_default();
    let all = Value::Object(claims.clone());
    // An example may leave sub out; one that stands there is read as that of a token.
    let is_subject = |sub: &Value| sub.as_str().is_some_and(|sub| sub.parse::<Subject>().is_ok());
    if !claims.get("sub").is_none_or(is_subject) {
        return Err(&reason::ASSERTION_CLAIM_SUB);
    }
    let mut known = false;
    for binding in bindings {
        let Admits::Jwt(rule) = &binding.admits else { continue };
        if rule.issuer.as_str() != issuer {
            continue;
        }
        known = true;
        let subject = rule.kind == JwtKind::Oidc || claims.get("sub").and_then(Value::as_str) == Some(issuer);
        if subject && conditions(rule, &all).all(|condition| condition.holds) {
            return Ok(&binding.name);
        }
    }
    Err(if known { &reason::BINDING_NO_MATCH } else { &reason::ISSUER_UNKNOWN })
}
