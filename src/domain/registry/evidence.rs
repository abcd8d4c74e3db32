//! Evidence that was given to people.

use serde::{Deserialize, Serialize};

use super::framework::Framework;
use crate::domain::value::clock::Timestamp;

/// What evidence is about.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum Evidence {
    /// Controls of frameworks, over a period.
    Controls {
        /// The framework; all of them where none is named.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        framework: Option<Framework>,
        /// The first second of the period.
        from: Timestamp,
        /// Its last second.
        to: Timestamp,
        /// What the live index was found to have, if it was asked. The log does not know.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        listed: Option<Listed>,
    },
    /// Reviews of access, over a period.
    Reviews {
        /// The first second of the period.
        from: Timestamp,
        /// The first second after it.
        to: Timestamp,
    },
}

/// What the live index was found to have of what it should.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listed {
    /// What was looked up.
    pub asked: u64,
    /// What was missing, the first of it: `production partner:globex`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<String>,
    /// How much more was missing.
    #[serde(default)]
    pub more: u64,
}
