//! The word that was probably meant.

/// The known word that was probably meant: at most two letters away, or the same but for case.
pub fn nearest(word: &str, known: impl IntoIterator<Item = &'static str>) -> Option<&'static str> {
    if word.len() > 40 {
        return None;
    }
    let distance = |known: &str| strsim::levenshtein(&word.to_lowercase(), &known.to_lowercase());
    let distances = known.into_iter().map(|known| (distance(known), known));
    distances.filter(|(distance, known)| *distance <= 2 && *distance < known.len()).min().map(|(_, known)| known)
}
