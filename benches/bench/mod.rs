//! What the benches measure with.

pub mod clock;
pub mod floor;
