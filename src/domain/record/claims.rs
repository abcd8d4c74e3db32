//! Claims by their path: which of them a caller can choose, and when two paths are the same claim.

use crate::domain::registry::binding::{ClaimPath, JwtRule};

/// Whether a JSON Pointer has only the escapes that RFC 6901 section 3 knows.
pub(super) fn is_well_formed(path: &ClaimPath) -> bool {
    let text = path.as_str();
    !text.starts_with('/') || text.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']))
}

/// Whether a stranger at the same issuer can choose the claim.
///
/// It must not help to write the name as a pointer, nor to reach into a claim that is on the list (`/groups/0`).
pub(super) fn is_chosen_by_caller(path: &ClaimPath) -> bool {
    path.steps().first().is_some_and(|name| JwtRule::CALLER_CONTROLLED.contains(&name.as_str()))
}

/// Whether the claim tells no two workloads apart.
///
/// All tokens of an issuer share `iss` and `aud`, and times and ids are each token's own.
pub(super) fn names_nobody(path: &ClaimPath) -> bool {
    path.steps().first().is_some_and(|name| matches!(name.as_str(), "iss" | "aud" | "exp" | "iat" | "nbf" | "jti"))
}
