//! Declares the enum of one noun's changes, with the `kind` of each on the wire.

/// Makes the enum serialise flat, with `kind` beside the fields, and gives it `KINDS` and `kind`.
///
/// The string behind `#[kind = …]` is the only place that spells a kind.
macro_rules! kinds {
    (
        $(#[$about:meta])*
        pub enum $name:ident {
            $(
                $(#[doc = $doc:expr])*
                #[kind = $kind:literal]
                $variant:ident $fields:tt,
            )+
        }
    ) => {
        $(#[$about])*
        #[derive(Clone, Debug, ::serde::Serialize, ::serde::Deserialize)]
        #[serde(tag = "kind", rename_all_fields = "camelCase")]
        pub enum $name {
            $(
                $(#[doc = $doc])*
                #[serde(rename = $kind)]
                $variant $fields,
            )+
        }

        impl $name {
            /// All kinds of this noun.
            pub const KINDS: &'static [&'static str] = &[$($kind),+];

            /// The entry's `kind`.
            pub fn kind(&self) -> &'static str {
                match self {
                    $(Self::$variant { .. } => $kind,)+
                }
            }
        }
    };
}

pub(super) use kinds;
