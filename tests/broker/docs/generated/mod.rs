//! Pages that are written from the code: `make docs-reference` writes them, and a page that is out of date fails here.

mod admin;
mod cli;
mod tables;

use std::collections::BTreeSet;

use carnet::domain::log::change::Change;

use super::page::{GENERATED, Page};
use crate::interop::process::file;

/// The kinds of changes, which are the events of webhooks.
pub fn kinds() -> BTreeSet<&'static str> {
    Change::kinds().collect()
}

/// Each page with the part of it that the code knows.
async fn parts() -> Vec<(&'static str, String)> {
    vec![
        ("docs/reference/admin-api.md", admin::routes().await),
        ("docs/reference/claims.md", tables::claims()),
        ("docs/reference/cli.md", cli::commands().await),
        ("docs/reference/configuration.md", tables::configuration()),
        ("docs/reference/controls.md", tables::controls()),
        ("docs/reference/events.md", tables::events()),
        ("docs/reference/metrics.md", tables::metrics()),
        ("docs/reference/reasons.md", tables::reasons()),
        ("docs/reference/records.md", tables::records()),
    ]
}

#[tokio::test]
async fn pages_say_what_the_code_says() {
    let mut stale = Vec::new();
    for (path, part) in parts().await {
        let page = Page::read(path);
        let seen = page.generated().unwrap_or_else(|| panic!("{path} has no part that the code writes")).trim();
        if seen != part.trim() {
            let differs = seen.lines().zip(part.trim().lines()).find(|(seen, wanted)| seen != wanted);
            stale.push(format!("{path}: {differs:?}"));
        }
    }
    assert!(stale.is_empty(), "run `make docs-reference`; these pages are out of date:\n{}", stale.join("\n"));
}

/// `make docs-reference` runs it.
#[tokio::test]
#[ignore = "writes docs/reference"]
async fn write() {
    for (path, part) in parts().await {
        let page = Page::read(path);
        let (begin, end) = GENERATED;
        let (before, _) = page.text.split_once(begin).expect("a page with a part that the code writes");
        let (_, after) = page.text.split_once(end).expect("a page with a part that the code writes");
        let text = format!("{before}{begin}\n\n{}\n\n{end}{after}", part.trim());
        std::fs::write(file(path), text).expect("written");
    }
}
