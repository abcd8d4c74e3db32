//! Credentials: certificates, claims of tokens, keys, bindings to a key, and revocation targets.

pub mod certificate;
pub mod claims;
pub mod confirmation;
pub mod keys;
pub mod possession;
pub mod resource;
pub mod revocation;
pub mod revocation_key;
pub mod spiffe_id;
