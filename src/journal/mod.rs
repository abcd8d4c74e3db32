//! The journal: evidence formats.
//!
//! Pure modules, no store: [`merkle`] hashes the tree and proves over it, [`tiles`] names and cuts its parts for export,
//! [`note`] writes and reads signed checkpoints.

pub mod merkle;
pub mod note;
pub mod tiles;
