//! Commands of workloads: present a proof, get a token, keep one current.

pub mod agent;
pub mod assertion;
pub mod exec;
pub mod inspect;
pub mod own;
pub mod proof;
pub mod token;
