//! The configuration that a start brings, and that of a node's file as it stands to the record.

use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use crate::domain::registry::differing::Difference;
use crate::domain::registry::environment::Configuration;
use crate::domain::value::clock::{Seconds, Timestamp};

/// The configuration that a start brings.
#[derive(Clone, Copy)]
pub enum Stated<'a> {
    /// None.
    Nothing,
    /// That of the one node of a journal: it comes on record if it is another one.
    Own(&'a Configuration),
    /// That of a node among others: it comes on record if there is none yet.
    First(&'a Configuration),
}

impl<'a> Stated<'a> {
    /// The configuration that has to come on record.
    pub fn missing(self, recorded: Option<&Configuration>) -> Option<&'a Configuration> {
        match self {
            Self::Nothing => None,
            Self::Own(own) => Some(own).filter(|own| recorded != Some(*own)),
            Self::First(first) => Some(first).filter(|_| recorded.is_none()),
        }
    }
}

/// What the file of this node says, and how it stands to the record.
#[derive(Default)]
pub struct Agreement {
    /// With `[node] grace`.
    pub file: OnceLock<(Configuration, Seconds)>,
    standing: RwLock<Arc<Standing>>,
}

/// How a file stands to the record.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Standing {
    /// The settings that differ.
    pub differs: Vec<Difference>,
    /// Until when the node mints all the same. Means nothing where nothing differs.
    pub until: Timestamp,
}

impl Agreement {
    /// How the file stands to the record.
    pub fn standing(&self) -> Arc<Standing> {
        // A value is all that the lock guards, so a poisoned one is still good.
        Arc::clone(&self.standing.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts what a comparison found.
    pub fn put(&self, standing: Standing) {
        *self.standing.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(standing);
    }
}

impl Standing {
    /// The names of the settings that differ, in words.
    pub fn names(&self) -> String {
        self.differs.iter().map(|one| one.setting.as_str()).collect::<Vec<_>>().join(", ")
    }

    /// Whether the node still mints.
    pub fn mints(&self, now: Timestamp) -> bool {
        self.differs.is_empty() || now < self.until
    }
}
