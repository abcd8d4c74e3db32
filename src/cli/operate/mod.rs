//! Commands of operators: run and check a server, and manage its keys and its journal.

pub mod bundle;
pub mod ca;
pub mod dev;
pub mod doctor;
pub mod evidence;
pub mod export;
pub mod journal;
pub mod key;
pub mod migrate;
pub mod serve;
