//! Changes of the operator's configuration.

use super::kinds::kinds;
use crate::domain::registry::environment::{Configuration, Lengthened};
use crate::domain::value::text::Text;

kinds! {
    /// Changes of the configuration that decisions rest on.
    pub enum ConfigurationChange {
        /// The environment table or the staff section differs from the last one.
        #[kind = "configuration.changed"]
        Changed(Configuration),
        /// The configuration of this start lets something last longer than before. The change of the configuration follows.
        #[kind = "configuration.widened"]
        Widened {
            /// The settings.
            settings: Vec<Lengthened>,
        },
    }
}

impl ConfigurationChange {
    /// The subject of the change.
    pub fn subject(&self) -> String {
        match self {
            Self::Changed(_) | Self::Widened { .. } => "configuration".to_owned(),
        }
    }

    /// The reason, which a start of the node does not give.
    pub fn reason(&self) -> Option<&Text> {
        match self {
            Self::Changed(_) | Self::Widened { .. } => None,
        }
    }

    /// The texts to seal.
    pub fn texts_mut(&mut self) -> Vec<&mut Text> {
        match self {
            Self::Changed(_) | Self::Widened { .. } => Vec::new(),
        }
    }
}
