//! Guesses what a mistyped name was to be.

/// The most similar name, by the measure that clap uses for flags.
pub(crate) fn most_like<'a>(text: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let likeness = |name: &'a str| (strsim::jaro(text, name), name);
    names
        .map(likeness)
        .filter(|(likeness, _)| *likeness > 0.7)
        .max_by(|one, other| one.0.total_cmp(&other.0))
        .map(|(_, name)| name)
}
