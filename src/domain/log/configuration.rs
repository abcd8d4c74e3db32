//! Changes of what the operator configured.

use super::kinds::kinds;
use crate::domain::registry::environment::Configuration;
use crate::domain::value::text::Text;

kinds! {
    /// What happens to the configuration that decisions rest on.
    pub enum ConfigurationChange {
        /// The environment table or the staff section differs from the last one.
        #[kind = "configuration.changed"]
        Changed(Configuration),
    }
}

impl ConfigurationChange {
    /// What the change is about.
    pub fn subject(&self) -> String {
        match self {
            Self::Changed(_) => "configuration".to_owned(),
        }
    }

    /// Why. A start of the node does not say.
    pub fn reason(&self) -> Option<&Text> {
        match self {
            Self::Changed(_) => None,
        }
    }

    /// The texts to seal.
    pub fn texts_mut(&mut self) -> Vec<&mut Text> {
        match self {
            Self::Changed(_) => Vec::new(),
        }
    }
}
