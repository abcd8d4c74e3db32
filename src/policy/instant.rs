//! Instants as Cedar writes them.

use cedar_policy::{Context, Entities, EntityUid, EvalResult, Expression, Request, eval_expression};

/// The seconds since 1970 of an instant as Cedar reads it.
pub(super) fn epoch_seconds(instant: &str) -> Option<i64> {
    if !instant.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-+:.".contains(&byte)) {
        return None;
    }
    let text = format!("datetime(\"{instant}\").durationSince(datetime(\"1970-01-01\")).toSeconds()");
    let expression: Expression = text.parse().ok()?;
    let nobody: EntityUid = "Carnet::Action::\"exchange\"".parse().ok()?;
    let request = Request::new(nobody.clone(), nobody.clone(), nobody, Context::empty(), None).ok()?;
    match eval_expression(&request, &Entities::empty(), &expression).ok()? {
        EvalResult::Long(seconds) => Some(seconds),
        EvalResult::Bool(_)
        | EvalResult::String(_)
        | EvalResult::EntityUid(_)
        | EvalResult::Set(_)
        | EvalResult::Record(_)
        | EvalResult::ExtensionValue(_) => None,
    }
}
