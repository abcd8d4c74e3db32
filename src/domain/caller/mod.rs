//! Who calls: a verified proof, the binding that admits it, and the peer of a connection.

pub mod admission;
pub mod conditions;
pub mod peer;
pub mod proof;
pub mod spiffe;
