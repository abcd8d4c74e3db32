//! `README.html`: the bundle for people, made from its other files.
//!
//! [`super::html`] has the form of its values.

use serde_json::Value;

use super::Closing;
use super::html::{Html, MOST_ROWS, document, escaped};
use super::texts::Texts;
use super::zip::Files;
use crate::domain::value::clock::Timestamp;
use crate::domain::value::digest::Digest;

/// A longer file is not shown on the page.
const LONGEST_SHOWN: usize = 256 << 10;

/// The page of a bundle.
pub struct Page<'a> {
    pub title: &'a str,
    pub origin: &'a str,
    pub closing: &'a Closing,
    /// The files under the manifest.
    pub files: &'a Files<'a>,
    /// The plain texts; none if they are left out.
    pub texts: Option<&'a Texts>,
}

impl Page<'_> {
    /// The page as HTML.
    pub fn html(&self) -> String {
        let Closing { index, kind, time, .. } = self.closing;
        let title = escaped(self.title);
        let origin = escaped(self.origin);
        let kind = escaped(kind);
        let mut sections = String::new();
        let shown = self.files.iter().filter(|(name, _)| super::entry_index(name).is_none());
        for (name, content) in shown {
            sections.push_str(&format!("<h2>{}</h2>\n{}\n", escaped(name), self.file(name, content)));
        }
        let texts = match self.texts {
            Some(_) => {
                "Names and free text are shown <span class=\"said\">like this</span>. A text that was erased is shown as \
                        <span class=\"gone\">erased</span>."
            }
            None => "Names of people and free text are left out of this copy.",
        };
        let body = format!(
            "<h1>{title}</h1>\n\
             <p>Closed by entry {index} (<code>{kind}</code>) of the log <code>{origin}</code> on {time}.</p>\n\
             <p class=\"note\"><strong>This page proves nothing.</strong> It was made from the other files of the bundle, for reading and \
             printing. The files are proved by <code>carnet journal verify</code> with the archive and the verifier key of the log, or by \
             <code>verify_dossier.py</code> of Carnet's examples. Get the key from its owner, and not with this file.</p>\n\
             <p>{texts}</p>\n{sections}<h2>Journal entries</h2>\n{entries}\n<h2>Files under the manifest</h2>\n{list}\n",
            entries = self.entries(),
            list = self.list(),
        );
        document(self.title, &body)
    }

    /// One file, in the form that its name says.
    fn file(&self, name: &str, content: &[u8]) -> String {
        let Ok(text) = std::str::from_utf8(content) else { return "<p>This file is not text.</p>".to_owned() };
        if content.len() > LONGEST_SHOWN {
            return "<p>This file is too long for this page.</p>".to_owned();
        }
        let value = if name.ends_with(".json") { serde_json::from_str::<Value>(text).ok() } else { None };
        let html = Html { texts: self.texts };
        value.map_or_else(|| format!("<pre>{}</pre>", html.words(text)), |value| html.value(&value, 0))
    }

    fn entries(&self) -> String {
        let mut entries: Vec<(u64, &[u8])> =
            self.files.iter().filter_map(|(name, content)| Some((super::entry_index(name)?, *content))).collect();
        entries.sort_unstable_by_key(|(index, _)| *index);
        let more = entries.len().saturating_sub(MOST_ROWS);
        let row = |(index, content): &(u64, &[u8])| {
            let entry = serde_json::from_slice::<Value>(content).unwrap_or_default();
            let time =
                entry["time"].as_i64().and_then(Timestamp::from_seconds).map(|time| time.to_string()).unwrap_or_default();
            let kind = escaped(entry["kind"].as_str().unwrap_or_default());
            let subject = escaped(entry["subject"].as_str().unwrap_or_default());
            format!("<tr><td>{index}</td><td>{time}</td><td>{kind}</td><td>{subject}</td></tr>\n")
        };
        let rows: String = entries.iter().take(MOST_ROWS).map(row).collect();
        let more = if more == 0 { String::new() } else { format!("<p>… and {more} more in the folder journal.</p>") };
        format!("<table>\n<tr><th>entry</th><th>time</th><th>kind</th><th>subject</th></tr>\n{rows}</table>{more}")
    }

    fn list(&self) -> String {
        let row = |(name, content): (&&str, &&[u8])| {
            let digest = Digest::of(content);
            format!("<tr><td>{}</td><td>{}</td><td><code>{digest}</code></td></tr>\n", escaped(name), content.len())
        };
        let rows: String = self.files.iter().map(row).collect();
        format!("<table>\n<tr><th>file</th><th>bytes</th><th>SHA-256</th></tr>\n{rows}</table>")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::domain::value::text::{TextDigest, TextRow};

    fn page(files: &[(&str, &str)], texts: Option<&Texts>) -> String {
        let closing =
            Closing { index: 9, kind: "offboarding.closed".to_owned(), time: Timestamp::default(), manifest: Digest::of(b"") };
        let files: Files<'_> = files.iter().map(|(name, content)| (*name, content.as_bytes())).collect::<BTreeMap<_, _>>();
        Page { title: "Offboarding of <globex>", origin: "sts.acme.example/carnet", closing: &closing, files: &files, texts }
            .html()
    }

    #[test]
    fn words_stand_for_digests_and_nothing_is_markup() {
        let said = TextDigest::of(&[1; 16], "<script>\u{202e}Jane");
        let gone = TextDigest::of(&[1; 16], "gone");
        let case =
            format!(r#"{{"at":1796128497,"by":"{said}","reason":"{gone}","<b>":[{{"x":1}},{{"y":[true,null]}}],"none":[]}}"#);
        let files = [("case.json", &*case), ("records/a.yaml", "a: <b>&'\"\nc: d\u{1b}"), ("odd.json", "{")];
        let texts = Texts::of([TextRow { digest: said, salt: [1; 16], text: "<script>\u{202e}Jane".to_owned() }]);
        let told = page(&files, Some(&texts));
        assert!(told.contains("<span class=\"said\">&lt;script&gt;\\u{202e}Jane</span>"), "{told}");
        assert!(told.contains(&format!("<span class=\"gone\" title=\"{gone}\">erased</span>")), "{told}");
        assert!(
            told.contains("<th>&lt;b&gt;</th><td><table>\n<tr><th>x</th><th>y</th></tr>\n<tr><td>1</td><td></td></tr>\n"),
            "{told}"
        );
        let at = "<th>at</th><td>2026-12-01T12:34:57Z <span class=\"gone\">(1796128497)</span></td>";
        assert!(told.contains(at), "{told}");
        assert!(told.contains("<td>yes, –</td>") && told.contains("<th>none</th><td>none</td>"), "{told}");
        assert!(
            told.contains("<pre>a: &lt;b&gt;&amp;&#39;&quot;\nc: d\\u{1b}</pre>") && told.contains("<pre>{</pre>"),
            "{told}"
        );
        assert!(!told.contains("<script") && !told.contains("<b>") && !told.contains("left out"), "{told}");
        let left_out = page(&files, None);
        assert!(!left_out.contains("Jane") && left_out.contains("left out</span>"), "{left_out}");
        assert!(left_out.contains("This page proves nothing."));
        assert_eq!(told, page(&files, Some(&texts)));
    }

    #[test]
    fn a_page_stays_short() {
        let many = serde_json::to_string(&(0..2000).collect::<Vec<_>>()).expect("JSON");
        let rows = serde_json::to_string(&vec![BTreeMap::from([("a", 1)]); 2000]).expect("JSON");
        let deep = "[".repeat(100) + &"]".repeat(100);
        let long = "x".repeat(LONGEST_SHOWN + 1);
        let page = page(&[("many.json", &many), ("rows.json", &rows), ("deep.json", &deep), ("long.txt", &long)], None);
        assert_eq!(page.matches("and 1500 more.").count(), 2);
        assert!(page.contains("too long for this page") && page.len() < 60_000, "{}", page.len());
    }
}
