//! Signals from outside, and what people decided of those that were held.

use super::kinds::kinds;
use crate::domain::registry::signal::{SignalKind, SignalSubject};
use crate::domain::value::names::SignalId;
use crate::domain::value::text::Text;

kinds! {
    /// Signals from outside, and what people decided of those that were held.
    pub enum SignalChange {
        /// One came and acted: its subject is suspended.
        #[kind = "signal.received"]
        Received {
            /// Its id.
            signal: SignalId,
            /// What it says.
            says: SignalKind,
            /// Whom it is about.
            about: SignalSubject,
            /// The sender's words.
            reason: Text,
            /// The sender's own name for it.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            reference: Option<String>,
        },
        /// One came that is beyond the bounds of its sender. It waits for a person.
        #[kind = "signal.held"]
        Held {
            /// Its id.
            signal: SignalId,
            /// What it says.
            says: SignalKind,
            /// Whom it is about.
            about: SignalSubject,
            /// The sender's words.
            reason: Text,
            /// The sender's own name for it.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            reference: Option<String>,
        },
        /// Security believes one that was held: its subject is suspended.
        #[kind = "signal.confirmed"]
        Confirmed {
            /// Its id.
            signal: SignalId,
            /// Whom it is about.
            about: SignalSubject,
            /// Why.
            reason: Text,
        },
        /// Security does not believe one that was held.
        #[kind = "signal.dismissed"]
        Dismissed {
            /// Its id.
            signal: SignalId,
            /// Whom it is about.
            about: SignalSubject,
            /// Why.
            reason: Text,
        },
    }
}

impl SignalChange {
    /// Whom the signal is about.
    pub fn about(&self) -> &SignalSubject {
        match self {
            Self::Received { about, .. }
            | Self::Held { about, .. }
            | Self::Confirmed { about, .. }
            | Self::Dismissed { about, .. } => about,
        }
    }

    /// The subject of the change: whom the signal is about.
    pub fn subject(&self) -> String {
        self.about().to_string()
    }

    /// The reason.
    pub fn reason(&self) -> Option<&Text> {
        match self {
            Self::Received { reason, .. }
            | Self::Held { reason, .. }
            | Self::Confirmed { reason, .. }
            | Self::Dismissed { reason, .. } => Some(reason),
        }
    }

    /// The texts to seal.
    pub fn texts_mut(&mut self) -> Vec<&mut Text> {
        match self {
            Self::Received { reason, .. }
            | Self::Held { reason, .. }
            | Self::Confirmed { reason, .. }
            | Self::Dismissed { reason, .. } => vec![reason],
        }
    }
}
