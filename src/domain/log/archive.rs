//! The archive: the entries of the journal that are in sealed segments outside of its database.
//!
//! A change names each segment by its hash. So the log records which entries left the database, and a later reader knows that they
//! are missing there for a reason. Segments follow one another without a gap. Not here: the files (`journal::archive::segment`).

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::domain::value::digest::Digest;

/// Entries that were sealed together.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Segment {
    /// The first of them.
    pub first: u64,
    /// The entry after the last of them.
    pub until: u64,
    /// SHA-256 of the file that holds them.
    pub digest: Digest,
}

/// All segments, in the order of their entries.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Archive(Arc<Vec<Segment>>);

impl Archive {
    /// The first entry that is in no segment.
    pub fn until(&self) -> u64 {
        self.0.last().map_or(0, |last| last.until)
    }

    /// Adds the next segment.
    ///
    /// A segment that does not begin where the last one ends is ignored: no entry may be missing elsewhere because of it.
    pub fn take(&mut self, segment: &Segment) {
        if segment.first == self.until() && segment.until > segment.first {
            Arc::make_mut(&mut self.0).push(segment.clone());
        }
    }

    /// All of them.
    pub fn segments(&self) -> &[Segment] {
        &self.0
    }

    /// The segment that holds `entry`.
    pub fn holding(&self, entry: u64) -> Option<&Segment> {
        let at = self.0.partition_point(|segment| segment.until <= entry);
        self.0.get(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(first: u64, until: u64) -> Segment {
        Segment { first, until, digest: Digest::of(&until.to_be_bytes()) }
    }

    #[test]
    fn segments_follow_one_another_and_are_found_by_entry() {
        let mut archive = Archive::default();
        assert_eq!((archive.until(), archive.holding(0)), (0, None));
        archive.take(&segment(256, 512));
        assert_eq!(archive, Archive::default(), "there would be a gap");
        archive.take(&segment(0, 256));
        for again in [segment(0, 256), segment(255, 512), segment(256, 256)] {
            archive.take(&again);
            assert_eq!(archive.until(), 256);
        }
        archive.take(&segment(256, 1024));
        for (entry, first) in [(0, Some(0)), (255, Some(0)), (256, Some(256)), (1023, Some(256)), (1024, None)] {
            assert_eq!(archive.holding(entry).map(|segment| segment.first), first, "{entry}");
        }
    }
}
