//! The keys that a store works with, and where fresh ones come from.

use std::sync::Arc;

use super::sums::SumKey;
use crate::domain::value::clock::Entropy;
use crate::journal::key::data_key::DataKeys;
use crate::journal::key::kek::Kek;

/// The keys of a store that is written.
#[derive(Clone)]
pub struct StoreKeys {
    /// The sums over its side tables.
    pub sums: SumKey,
    /// What its rows are sealed under, where several nodes share it.
    pub rows: DataKeys,
    /// Where data keys come from.
    pub entropy: Arc<dyn Entropy>,
}

impl StoreKeys {
    /// Those under this KEK.
    pub fn of(kek: &Kek, entropy: Arc<dyn Entropy>) -> Self {
        Self { sums: SumKey::of(kek), rows: DataKeys::of(kek), entropy }
    }
}
