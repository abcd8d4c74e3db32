//! An issuing key in use.

use rcgen::{Issuer, KeyPair};
use std::fmt;

/// An issuing key in use.
pub struct IssuingKey {
    pub(super) issuer: Issuer<'static, KeyPair>,
}

impl fmt::Debug for IssuingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IssuingKey")
    }
}
