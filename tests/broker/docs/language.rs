//! Plain English: no sentence of a document begins with a relative clause (CONTRIBUTING.md).

use super::page::Page;

/// The first words of a sentence whose subject would be a clause.
const CLAUSES: [&str; 5] = ["What", "Who", "Whoever", "Whom", "Of"];

#[test]
fn no_sentence_begins_with_a_relative_clause() {
    let mut wrong = Vec::new();
    let mut pages = 0;
    for page in Page::all().iter().filter(|page| page.path != "CHANGELOG.md") {
        pages += 1;
        for (first, paragraph) in paragraphs(page) {
            wrong.extend(clauses(&paragraph).into_iter().map(|sentence| format!("{}:{first}: {sentence}", page.path)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(pages > 30, "{pages} pages");
}

#[test]
fn the_search_sees_a_clause_wherever_a_sentence_begins() {
    for bad in
        ["What is missing is refused.", "It ends. Who asked is told.", "**Of** these, one counts.", "a: Whoever asks waits."]
    {
        assert_eq!(clauses(bad).len(), 1, "{bad}");
    }
    for good in ["What does it cost? Nothing.", "A caller who asks is told.", "`What` is an enum.", "Offers end."] {
        assert!(clauses(good).is_empty(), "{good}");
    }
}

/// Paragraphs, list items, headings and cells of tables, each with the line on which it begins.
fn paragraphs(page: &Page) -> Vec<(usize, String)> {
    let mut found: Vec<(usize, String)> = Vec::new();
    let mut joins = false;
    for (number, line) in page.written() {
        let line = line.trim();
        if line.starts_with('|') {
            found.extend(line.split('|').map(|cell| (number, cell.trim().to_owned())));
            joins = false;
        } else if line.is_empty() {
            joins = false;
        } else {
            let begins =
                line.starts_with("- ") || line.starts_with('#') || line.split_once(". ").is_some_and(|(n, _)| is_number(n));
            match found.last_mut() {
                Some((_, paragraph)) if joins && !begins => *paragraph = format!("{paragraph} {line}"),
                _ => found.push((number, line.to_owned())),
            }
            joins = !line.starts_with('#');
        }
    }
    found
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

/// The sentences of a paragraph that begin with a clause and are no question.
fn clauses(paragraph: &str) -> Vec<String> {
    let text = paragraph.replace(['*', '_', '#'], "");
    let mut starts = vec![0];
    for mark in [". ", ": ", "! ", "? ", "; "] {
        starts.extend(text.match_indices(mark).map(|(at, mark)| at + mark.len()));
    }
    let sentence = |start: usize| {
        let rest =
            text[start..].trim_start_matches(|c: char| c == '-' || c == ' ' || c == '(' || c == '.' || c.is_ascii_digit());
        let end = rest.find(['.', '?', '!']).map_or(rest.len(), |end| end + 1);
        let sentence = &rest[..end];
        let first = sentence.split([' ', ',']).next().unwrap_or_default();
        (CLAUSES.contains(&first) && !sentence.ends_with('?')).then(|| sentence.to_owned())
    };
    starts.into_iter().filter_map(sentence).collect()
}
