//! Shared by all commands: what they answer and print, exit codes, which server they talk to, and files.

pub mod answer;
pub mod context;
pub mod exit;
pub mod files;
#[cfg(test)]
mod named_commands;
pub mod reach;
pub mod steady;
pub mod url;
