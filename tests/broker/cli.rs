//! The command line as scripts use it: the real binary against a whole server. Exit codes, what goes to stdout and what to stderr,
//! and that no secret goes anywhere.

mod agent;
mod approval;
mod elevation;
mod evidence;
mod inventory;
pub mod login;
mod offline;
mod online;
pub mod program;
mod serving;
mod suspensions;
mod told;
