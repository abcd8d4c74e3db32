//! Forms: how a value of a record is read, written, and described to an editor, stated in one place.

use serde_json::Value as Json;

use super::definitions::Definitions;
use crate::domain::record::fault::Faults;
use crate::domain::record::read::place::Place;

/// How a value looks in a record.
pub(in crate::domain::record) trait Form {
    /// The value as the domain holds it.
    type Value;

    /// Reads it. Tells every fault and answers `None` where there is one.
    fn read(&self, place: &Place<'_>, faults: &mut Faults) -> Option<Self::Value>;

    /// Writes it as an author would; the inverse of [`read`](Self::read).
    fn write(&self, value: &Self::Value) -> Json;

    /// Its JSON Schema (2020-12).
    ///
    /// It says the form of one value; rules that need more than one stand with the reader alone.
    fn schema(&self, definitions: &mut Definitions) -> Json;
}
