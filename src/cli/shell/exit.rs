//! Exit codes (docs/reference/cli.md): scripts branch on them, so they never change their meaning.

use std::process::ExitCode;

/// How a command ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Exit {
    /// It did what it says.
    Ok = 0,
    /// It did not.
    Failure = 1,
    /// Wrong use, or an invalid file.
    Usage = 2,
    /// Denied, or `can-i` says no.
    Denied = 3,
    /// Sign-in is needed: no proof or staff token, or one that does not count.
    SignIn = 4,
    /// The resource does not exist.
    Missing = 5,
    /// The plan shows changes.
    Changes = 6,
    /// The server is away, or answers too late.
    Unavailable = 7,
}

impl Exit {
    /// As the shell sees it.
    pub const fn code(self) -> u8 {
        self as u8
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}
