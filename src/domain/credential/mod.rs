//! Credentials and their keys: certificates, claims, confirmations, signing keys, resources, and what can be revoked.

pub mod certificate;
pub mod claims;
pub mod confirmation;
pub mod keys;
pub mod resource;
pub mod revocation;
pub mod revocation_key;
