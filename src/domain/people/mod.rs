//! People: who acts, with which roles, the passkeys that they sign with, and the directory of those whom records name.

pub mod actor;
pub mod addressee;
pub mod directory;
pub mod member;
pub mod owners;
pub mod passkey;
pub mod roles;
