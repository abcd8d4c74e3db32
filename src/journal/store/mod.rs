//! The store as values: what is written at once, with its MAC ([`batch`]), where the log ends ([`head`]), and the keyed sums over the
//! tables that lie beside the entries ([`sums`]). SQL is in `sqlite`.

pub mod batch;
pub mod head;
pub mod sums;
