//! ABUSE rows J and K at this floor, against a fake issuer on a real socket.

mod assertions;
mod certificates;
mod fetches;
pub(crate) mod fixtures;
mod interop;
mod issuers;
mod key_sets;
mod staff;
