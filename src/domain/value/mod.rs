//! Values that stand for themselves: names, times, digests, texts and how they are read. They know nothing of partners or tokens.

pub mod alg;
pub mod bounded;
pub mod claim_text;
pub mod clock;
pub mod day;
pub mod digest;
pub mod effort;
pub mod endpoint;
pub mod hex;
pub(crate) mod jwk;
pub(crate) mod jwk_set;
pub mod names;
pub mod nearest;
pub mod network;
pub mod numeric_date;
pub(crate) mod p256;
pub mod percent;
pub mod proof_key;
pub mod quota;
pub mod scope;
pub mod steady;
pub(crate) mod strict_json;
pub mod text;
mod token_id;
pub mod window;
pub mod yaml;
pub mod zone;
