//! Exit codes (docs/reference/cli.md). Scripts branch on them, so they never change their meaning.

use std::process::ExitCode;

/// The exit code of a command.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Exit {
    /// The command succeeded.
    Ok = 0,
    /// The command failed.
    Failure = 1,
    /// The command was used wrongly, or a file is invalid.
    Usage = 2,
    /// Denied, or `can-i` says no.
    Denied = 3,
    /// Sign-in is needed: there is no proof or staff token, or an invalid one.
    SignIn = 4,
    /// The resource does not exist.
    Missing = 5,
    /// The plan shows changes, or files and what is in force differ.
    Changes = 6,
    /// The server is away, or answers too late.
    Unavailable = 7,
}

impl Exit {
    /// The code, as the shell sees it.
    pub const fn code(self) -> u8 {
        self as u8
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}
