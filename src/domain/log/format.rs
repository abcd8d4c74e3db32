//! The formats of entries: numbers that rise whenever a program begins to write what an earlier one does not read.
//!
//! Several versions of the program share a journal while its nodes are upgraded one after another. So a new version first only *reads* the
//! new format (it expands), and writes it once the journal says so: the format on record is that of the program that made the journal, until
//! an administrator raises it, when no node that lives reads less (it contracts). Nobody writes a newer format than that on record, and a
//! node that reads less than it does not start. Until it is raised, every node may go back to the version before.
//!
//! A journal that one node has to itself asks nobody: what only several nodes need is not written there.

/// The newest format that this program reads.
pub const NEWEST: u32 = 2;

/// The format of journals that say nothing of it.
pub const FIRST: u32 = 1;

/// The format from which on keys await the nodes.
pub const KEYS_AWAIT_NODES: u32 = 2;

/// For fields that a journal of the first format lacks.
pub fn first() -> u32 {
    FIRST
}

/// Whether a field says what is said where it is lacking.
pub fn is_first(format: &u32) -> bool {
    *format == FIRST
}
