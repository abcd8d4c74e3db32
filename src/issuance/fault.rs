//! The reasons why a recorded grant did not become a token.

/// The reason why a recorded grant did not become a token.
///
/// The caller answers "temporarily unavailable"; the entry stays.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum IssueFault {
    /// The ring does not have the key that the grant names.
    #[error("the signing key is not in this node's ring")]
    NoKey,
    /// The signature could not be made.
    #[error("signing failed")]
    Signing,
    /// The signed token is not what was recorded.
    #[error("the signed token is not what was recorded")]
    ReadBack,
}
