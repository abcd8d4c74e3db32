//! Writes a mail: a subject and lines, the most urgent notice first.

use std::collections::BTreeSet;

use super::notice::{Look, Notice, Urgency};
use crate::domain::people::addressee::Addressee;

/// The most notices that one mail has in words.
const SHOWN: usize = 100;

/// A notice with its entry, and those of its addressees who have no address.
pub struct Told {
    /// The entry.
    pub entry: u64,
    /// The notice.
    pub notice: Notice,
    /// Its addressees without an address.
    pub nobody: Vec<Addressee>,
}

/// The subject and the text of a mail that tells of these. `console` is the origin of the console, if people can sign in there.
pub fn written(mut told: Vec<Told>, console: Option<&str>, dropped: u64) -> (String, String) {
    told.sort_by_key(|one| (one.notice.urgency, one.entry));
    let first = told.first().map(|one| one.notice.title.as_str()).unwrap_or_default();
    let subject = match told.len().saturating_sub(1) {
        0 => format!("[carnet] {first}"),
        more => format!("[carnet] {first}, and {more} more"),
    };
    let mut text = String::new();
    let mut heading = None;
    for one in told.iter().take(SHOWN) {
        if heading != Some(one.notice.urgency) {
            heading = Some(one.notice.urgency);
            text += &format!("{}\n\n", words(one.notice.urgency));
        }
        text += &format!("  {}\n", one.notice.title);
        text += &match (&one.notice.look, console) {
            (Look::Approval(id), Some(console)) => format!("    {console}/console/approvals/{id}\n"),
            (Look::Approval(id), None) => format!("    carnet approvals show {id}\n"),
            (Look::Command(command), _) => format!("    {command}\n"),
        };
        let nobody: BTreeSet<String> = one.nobody.iter().map(ToString::to_string).collect();
        for whom in nobody {
            text += &format!("    nobody to tell: {whom}\n");
        }
        text += &format!("    entry {}\n\n", one.entry);
    }
    let more = u64::try_from(told.len().saturating_sub(SHOWN)).unwrap_or(u64::MAX).saturating_add(dropped);
    if more > 0 {
        text += &format!("And {more} more: carnet journal query\n\n");
    }
    text +=
        "There is at most one such mail an hour. What asks for a word is decided after sign-in; no link decides anything.\n";
    (subject, text)
}

fn words(urgency: Urgency) -> &'static str {
    match urgency {
        Urgency::AtOnce => "At once",
        Urgency::Over => "Ended, or ends unless somebody acts",
        Urgency::Waits => "Waits for somebody",
        Urgency::Soon => "Within a week",
        Urgency::Later => "Later",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(entry: u64, urgency: Urgency, title: &str, look: Look) -> Told {
        let notice = Notice { urgency, title: title.to_owned(), security: true, owners: Vec::new(), look };
        Told { entry, notice, nobody: vec![Addressee::Business("globex/order-sync".parse().expect("a name"))] }
    }

    #[test]
    fn the_most_urgent_comes_first_and_links_lead_to_pages() {
        let all = || {
            vec![
                told(1, Urgency::Later, "later", Look::Command("carnet review list".to_owned())),
                told(2, Urgency::Waits, "waits", Look::Approval("a1".to_owned())),
                told(3, Urgency::AtOnce, "compromised", Look::Command("carnet signal list".to_owned())),
            ]
        };
        let (subject, text) = written(all(), Some("https://carnet.acme.example"), 0);
        assert_eq!(subject, "[carnet] compromised, and 2 more");
        let places: Vec<usize> = ["compromised", "waits", "later"].map(|word| text.find(word).expect("told")).into();
        assert!(places.is_sorted(), "{text}");
        assert!(text.contains("    https://carnet.acme.example/console/approvals/a1\n"), "{text}");
        assert!(text.contains("    nobody to tell: business owner of globex/order-sync\n"), "{text}");
        let (_, text) = written(all(), None, 0);
        assert!(text.contains("    carnet approvals show a1\n") && !text.contains("http"), "{text}");
        let many = (0..150).map(|entry| told(entry, Urgency::Later, "later", Look::Approval("a1".to_owned()))).collect();
        let (_, text) = written(many, None, 7);
        assert!(text.contains("And 57 more"), "{text}");
    }
}
