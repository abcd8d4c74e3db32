//! What both benches measure with.

pub mod clock;
pub mod floor;
