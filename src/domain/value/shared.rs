//! Texts that many things have, each held once.
//!
//! An entry is read from bytes, so each has its own copy of every name in it. What the state keeps of an entry takes the texts of names that
//! other entries have as well from here: those of people, environments, APIs, scopes, claims and issuers. A text that nearly always is of one
//! thing alone, such as the id of an approval, is not worth it. Nothing is ever taken out.

use std::sync::Arc;

use imbl::OrdSet;

/// The texts. It says nothing of what they name.
#[derive(Clone, Debug, Default)]
pub struct SharedTexts(OrdSet<Arc<str>>);

impl SharedTexts {
    /// Gives `text` the copy that is known. The first one that comes is the known one.
    pub fn share(&mut self, text: &mut Arc<str>) {
        match self.0.get(&**text) {
            Some(known) => *text = Arc::clone(known),
            None => drop(self.0.insert(Arc::clone(text))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_texts_become_one() {
        let mut shared = SharedTexts::default();
        let mut texts: Vec<Arc<str>> = ["a", "b", "a"].map(Arc::from).into();
        texts.iter_mut().for_each(|text| shared.share(text));
        assert!(Arc::ptr_eq(&texts[0], &texts[2]) && !Arc::ptr_eq(&texts[0], &texts[1]));
        assert_eq!(texts.iter().map(|text| &**text).collect::<Vec<_>>(), ["a", "b", "a"]);
    }
}
