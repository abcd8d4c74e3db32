//! Links between the documents, and the order of the book.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use super::page::{Page, files};
use crate::interop::process::file;

#[test]
fn every_relative_link_and_anchor_leads_somewhere() {
    let pages = Page::all();
    let mut seen = 0;
    let mut broken = Vec::new();
    for page in &pages {
        for (line, link) in page.links().into_iter().filter(|(_, link)| !link.contains("://")) {
            seen += 1;
            if let Some(fault) = fault(page, &link, &pages) {
                broken.push(format!("{}:{line}: {link}: {fault}", page.path));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
    assert!(seen > 100, "{seen} links");
}

/// The fault of a link, if it has one.
fn fault(page: &Page, link: &str, pages: &[Page]) -> Option<String> {
    let (path, anchor) = link.split_once('#').map_or((link, None), |(path, anchor)| (path, Some(anchor)));
    let folder = Path::new(&page.path).parent().expect("a folder");
    let target = if path.is_empty() { PathBuf::from(&page.path) } else { normal(&folder.join(path))? };
    if !file(&target.display().to_string()).exists() {
        return Some("there is no such file".to_owned());
    }
    let anchor = anchor?;
    let Some(found) = pages.iter().find(|page| Path::new(&page.path) == target) else {
        return Some("an anchor in a file that is no document".to_owned());
    };
    (!found.anchors().contains(anchor)).then(|| format!("no heading of {} is {anchor}", found.path))
}

/// The path without `..`; `None` where it leaves the repository, which the caller reports as missing.
fn normal(path: &Path) -> Option<PathBuf> {
    let mut normal = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                if !normal.pop() {
                    return Some(PathBuf::from("outside the repository"));
                }
            }
            Component::Normal(part) => normal.push(part),
            Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
        }
    }
    Some(normal)
}

#[test]
fn the_summary_lists_every_page_once() {
    let summary = Page::read("docs/SUMMARY.md");
    let listed: Vec<String> = summary.links().into_iter().map(|(_, link)| format!("docs/{link}")).collect();
    let once: BTreeSet<String> = listed.iter().cloned().collect();
    assert_eq!(listed.len(), once.len(), "a page is listed twice");
    let pages: BTreeSet<String> = files("docs", &["md"]).into_iter().filter(|path| path != "docs/SUMMARY.md").collect();
    assert_eq!(once, pages);
}

#[test]
fn the_readme_is_short_and_names_the_commands_that_make_has() {
    let readme = Page::read("README.md");
    let lines = readme.text.lines().count();
    assert!(lines <= 180, "{lines} lines");
    let makefile = std::fs::read_to_string(file("Makefile")).expect("a Makefile");
    for target in ["demo", "test", "bench", "docs"] {
        assert!(readme.text.contains(&format!("make {target}")) && makefile.contains(&format!("\n{target}:")), "{target}");
    }
}

/// Every route of the public socket is in the reference: the table of routes in the source is read, not repeated.
#[test]
fn the_reference_has_every_public_route() {
    let source = std::fs::read_to_string(file("src/http/public/mod.rs")).expect("the public socket");
    let page = Page::read("docs/reference/http.md");
    let routes: Vec<&str> = source
        .lines()
        .filter_map(|line| line.trim().strip_prefix("(\"/")?.split_once("\", Route::").map(|(route, _)| route))
        .collect();
    assert!(routes.len() > 10, "{routes:?}");
    for route in routes {
        assert!(page.text.contains(&format!("I/{route}`")), "I/{route}");
    }
}

/// Every key of Redis is in the reference: the texts of the sources are read, not repeated.
#[test]
fn the_reference_has_every_redis_key() {
    let page = Page::read("docs/reference/redis-keys.md");
    let mut seen = 0;
    for path in files("src/revocation", &["rs"]).into_iter().filter(|path| !path.contains("/tests/")) {
        let text = std::fs::read_to_string(file(&path)).expect("a text");
        for (at, _) in text.match_indices("\"carnet:") {
            let key = text[at + 1..].split('"').next().unwrap_or_default();
            let key = key
                .replace("{{{environment}}}", "{ENV}")
                .replace("{tag:02}", "NN")
                .replace("{digest}", "")
                .replace("{production}", "{ENV}")
                .replace("{{", "{")
                .replace("}}", "}");
            let key = key.replace("{what}", "").replace("{}", "");
            let stem: String = key.split(":globex").next().unwrap_or_default().to_owned();
            assert!(page.text.contains(&format!("`{stem}")), "{path}: {key}");
            seen += 1;
        }
    }
    assert!(seen >= 3, "{seen} keys");
}
