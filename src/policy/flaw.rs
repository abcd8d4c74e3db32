//! What is wrong with the text of a guardrail.

/// What is wrong with a text.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Flaw {
    /// The line of the text, from 1.
    pub line: u32,
    /// What was expected, or what Cedar says.
    pub message: String,
}
