//! People and what they decide: who acts, approvals, and the passkeys that sign them.

pub mod actor;
pub mod approval;
pub mod passkey;
