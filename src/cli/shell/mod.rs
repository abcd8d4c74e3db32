//! The shared parts of all commands: answers, exit codes, the server to talk to, and files.

pub mod answer;
pub mod context;
pub mod csv;
pub mod exit;
pub mod files;
#[cfg(test)]
mod named_commands;
pub mod reach;
pub mod steady;
pub mod url;
