//! What a scope of a token rests on.

/// What a scope rests on.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Way {
    /// The record alone.
    Standing,
    /// An elevation that was approved.
    Elevated,
    /// An elevation that began without an approval.
    BreakGlass,
}

impl Way {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Standing, Self::Elevated, Self::BreakGlass];

    /// Its word.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Standing => "standing",
            Self::Elevated => "elevated",
            Self::BreakGlass => "break-glass",
        }
    }
}
