//! People: who acts, with which roles, and the passkeys that they sign with.

pub mod actor;
pub mod passkey;
