//! Keys of the journal: the key-encryption key, the keys that sign checkpoints, and the anchor.
//!
//! [`kek::Kek`] opens and seals; [`signers::Signers`] holds the checkpoint key and the ones before it; [`anchor::Anchor`] is the newest
//! signed checkpoint in a file outside of the database. Signing keys of environments are made elsewhere (`issuance`); here they are
//! sealed blobs. [`data_key::DataKeys`] seals single rows of a database that nodes share.

pub mod anchor;
pub mod data_key;
pub mod kek;
pub mod signers;
mod stored;
