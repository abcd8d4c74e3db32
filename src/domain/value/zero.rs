//! Numbers that old records do not have, and that new ones leave away where they are zero.

/// Whether a number is zero, for `skip_serializing_if`.
pub fn is_zero<N: Default + PartialEq>(number: &N) -> bool {
    *number == N::default()
}
