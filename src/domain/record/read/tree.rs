//! YAML text as trees whose nodes know where they stand.
//!
//! Enter through [`parse`]. It stands on the event parser that serde-saphyr re-exports, not on its serde front: a record keeps
//! the text of its scalars (`456789` and `"456789"` are the same claim), and every fault of a file is told at once, with its
//! line. Plain YAML only: anchors, aliases, tags, directives, complex keys and duplicate keys are refused, each document is
//! bounded in depth and the text in size and nodes, so nothing expands. What a node means is for the readers to say.

use std::collections::HashSet;

use serde_json::{Map, Number, Value as Json};
use serde_saphyr::granit_parser::{Event, Marker, Options, Parser, ScalarStyle, Span, StrInput};

/// A line and a column, both from 1.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub struct Position {
    /// From 1.
    pub line: u32,
    /// From 1.
    pub column: u32,
}

/// A fault of the text's form, and its position.
#[derive(Clone, Debug)]
pub(in crate::domain::record) struct SyntaxFault {
    pub position: Position,
    pub message: String,
}

/// A value and where it begins.
#[derive(Clone, Debug)]
pub(in crate::domain::record) struct Node {
    pub position: Position,
    pub value: Value,
}

/// The three shapes of a value.
#[derive(Clone, Debug)]
pub(in crate::domain::record) enum Value {
    /// Text, and whether it was written without quotes (only then can it mean null, true or a number).
    Scalar { text: String, plain: bool },
    /// `[…]` or lines with dashes.
    List(Vec<Node>),
    /// Keys in the order of the text, none twice.
    Map(Vec<(Key, Node)>),
}

/// A key and where it stands.
#[derive(Clone, Debug)]
pub(in crate::domain::record) struct Key {
    pub position: Position,
    pub text: String,
}

/// The limit of the admin API for records (docs/reference/limits.md).
const MOST_BYTES: usize = 1 << 20;
/// Deeper than any record.
const MOST_DEPTH: usize = 32;
/// More values than two thousand integrations have.
const MOST_NODES: usize = 200_000;
/// Longer than any name, claim path or endpoint; keys stand in the paths of faults.
const MOST_KEY_BYTES: usize = 256;
/// Nobody reads more at once.
const MOST_FAULTS: usize = 100;

/// The documents of `text`, or everything that is wrong with its form. Empty documents are left out.
pub(in crate::domain::record) fn parse(text: &str) -> Result<Vec<Node>, Vec<SyntaxFault>> {
    if text.len() > MOST_BYTES {
        return Err(vec![fault(Position { line: 1, column: 1 }, "the text is larger than 1 MiB")]);
    }
    let mut options: Options = serde_saphyr::granit_parser::options! {
        disallow_directives: true,
        flow_nesting_limit: 64,
        block_nesting_limit: 64,
    };
    options.emit_comments = false;
    let mut builder = Builder { parser: Parser::new_from_str_with_options(text, options), nodes: 0, faults: Vec::new() };
    let documents = builder.documents();
    match documents {
        Ok(documents) if builder.faults.is_empty() => Ok(documents),
        Ok(_) => Err(builder.faults),
        Err(stop) => {
            builder.faults.push(stop);
            Err(builder.faults)
        }
    }
}

impl Node {
    /// Whether nothing stands here (`key:`, `~`, `null`).
    pub fn is_null(&self) -> bool {
        matches!(&self.value, Value::Scalar { text, plain: true } if matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL"))
    }

    /// The value below a key of a map.
    pub fn get(&self, key: &str) -> Option<&Self> {
        let Value::Map(entries) = &self.value else { return None };
        entries.iter().find(|(known, _)| known.text == key).map(|(_, node)| node)
    }

    /// The node as JSON: unquoted null, booleans and numbers keep their type.
    ///
    /// A number whose text JSON would change (more digits than a double holds) stays text.
    pub fn to_json(&self) -> Json {
        match &self.value {
            Value::List(items) => Json::Array(items.iter().map(Self::to_json).collect()),
            Value::Map(entries) => {
                let member = |(key, node): &(Key, Self)| (key.text.clone(), node.to_json());
                Json::Object(entries.iter().map(member).collect::<Map<_, _>>())
            }
            Value::Scalar { .. } if self.is_null() => Json::Null,
            Value::Scalar { text, plain: true } => match text.as_str() {
                "true" | "True" | "TRUE" => Json::Bool(true),
                "false" | "False" | "FALSE" => Json::Bool(false),
                _ => match serde_json::from_str::<Number>(text) {
                    Ok(number) if number.to_string() == *text => Json::Number(number),
                    _ => Json::String(text.clone()),
                },
            },
            Value::Scalar { text, .. } => Json::String(text.clone()),
        }
    }
}

struct Builder<'a> {
    parser: Parser<'a, StrInput<'a>>,
    nodes: usize,
    faults: Vec<SyntaxFault>,
}

impl<'a> Builder<'a> {
    fn documents(&mut self) -> Result<Vec<Node>, SyntaxFault> {
        let mut documents = Vec::new();
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::StreamEnd => return Ok(documents),
                Event::StreamStart | Event::DocumentStart(..) | Event::DocumentEnd => {}
                event => {
                    let node = self.node(event, span, 0)?;
                    if !node.is_null() {
                        documents.push(node);
                    }
                }
            }
        }
    }

    fn next(&mut self) -> Result<(Event<'a>, Span), SyntaxFault> {
        match self.parser.next_event() {
            Some(Ok(next)) => Ok(next),
            // `info` is the scanner's own English, without a piece of the text.
            Some(Err(error)) => Err(fault(position(error.marker()), error.info())),
            // Invariant: StreamEnd comes before the end of the events and ends `documents`.
            None => Err(fault(Position::default(), "the text ends too early")),
        }
    }

    fn node(&mut self, event: Event<'a>, span: Span, depth: usize) -> Result<Node, SyntaxFault> {
        let at = position(&span.start);
        self.nodes += 1;
        if self.nodes > MOST_NODES {
            return Err(fault(at, "the text holds more than 200000 values"));
        }
        if depth > MOST_DEPTH {
            return Err(fault(at, "values are nested deeper than 32 levels"));
        }
        let value = match event {
            Event::Scalar(text, style, anchor, tag) => {
                self.refuse_properties(at, anchor, tag.is_some());
                Value::Scalar { text: text.into_owned(), plain: style == ScalarStyle::Plain }
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.refuse_properties(at, anchor, tag.is_some());
                self.list(depth)?
            }
            Event::MappingStart(_, anchor, tag) => {
                self.refuse_properties(at, anchor, tag.is_some());
                self.map(depth)?
            }
            Event::Alias(_) => {
                self.push(fault(at, "aliases (*name) are not taken: write the value out"))?;
                Value::Scalar { text: String::new(), plain: true }
            }
            _ => return Err(fault(at, "expected a value")),
        };
        if self.faults.len() >= MOST_FAULTS {
            return Err(fault(at, "too many faults; the rest of the text was not read"));
        }
        Ok(Node { position: at, value })
    }

    fn list(&mut self, depth: usize) -> Result<Value, SyntaxFault> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(Value::List(items)),
                (event, span) => items.push(self.node(event, span, depth + 1)?),
            }
        }
    }

    fn map(&mut self, depth: usize) -> Result<Value, SyntaxFault> {
        let mut entries = Vec::new();
        let mut seen = HashSet::new();
        loop {
            let key = match self.next()? {
                (Event::MappingEnd, _) => return Ok(Value::Map(entries)),
                (event, span) => self.node(event, span, depth + 1)?,
            };
            let (event, span) = self.next()?;
            let node = self.node(event, span, depth + 1)?;
            let position = key.position;
            let Value::Scalar { text, .. } = key.value else {
                self.push(fault(position, "a key must be plain text"))?;
                continue;
            };
            if text.len() > MOST_KEY_BYTES {
                self.push(fault(position, "a key is longer than 256 bytes"))?;
            } else if !seen.insert(text.clone()) {
                self.push(fault(position, format!("the key {text:?} stands here twice")))?;
            } else {
                entries.push((Key { position, text }, node));
            }
        }
    }

    fn refuse_properties(&mut self, at: Position, anchor: usize, tag: bool) {
        if anchor != 0 {
            self.faults.push(fault(at, "anchors (&name) are not taken: write the value out"));
        }
        if tag {
            self.faults.push(fault(at, "tags (!name) are not taken"));
        }
    }

    fn push(&mut self, fault: SyntaxFault) -> Result<(), SyntaxFault> {
        if self.faults.len() >= MOST_FAULTS {
            return Err(fault);
        }
        self.faults.push(fault);
        Ok(())
    }
}

fn fault(position: Position, message: impl Into<String>) -> SyntaxFault {
    SyntaxFault { position, message: message.into() }
}

fn position(marker: &Marker) -> Position {
    let from_1 = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    Position { line: from_1(marker.line().max(1)), column: from_1(marker.col().saturating_add(1)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(text: &str) -> Vec<(u32, String)> {
        parse(text).expect_err("faults").into_iter().map(|fault| (fault.position.line, fault.message)).collect()
    }

    #[test]
    fn scalars_keep_their_text_and_nodes_their_place() {
        let documents = parse("a: 0123\n---\n# nothing\n---\nb:\n  - \"x\"\n  - 1.50\n").expect("three documents");
        assert_eq!(documents.len(), 2);
        assert_eq!(documents[0].to_json(), serde_json::json!({"a": "0123"}));
        assert_eq!(documents[1].to_json(), serde_json::json!({"b": ["x", "1.50"]}));
        let Value::Map(entries) = &documents[1].value else { panic!("a map") };
        assert_eq!(entries[0].0.position, Position { line: 5, column: 1 });
        let Value::List(items) = &entries[0].1.value else { panic!("a list") };
        assert_eq!(items[1].position, Position { line: 7, column: 5 });
        let typed = parse("{i: 5, t: true, q: \"true\", n: ~, e: , big: 123456789012345678901234567890}").expect("a document");
        let expected =
            serde_json::json!({"i": 5, "t": true, "q": "true", "n": null, "e": null, "big": "123456789012345678901234567890"});
        assert_eq!(typed[0].to_json(), expected);
    }

    #[test]
    fn what_is_not_plain_yaml_is_refused_with_its_line() {
        assert_eq!(faults("a: 1\nb: 2\na: 3\n")[0].0, 3);
        let all = faults("a: &x [1]\nb: *x\nc: !!str 5\n? [k]\n: v\n");
        assert_eq!(all.iter().map(|fault| fault.0).collect::<Vec<_>>(), [1, 2, 3, 4]);
        assert_eq!(faults("a: 1\n b: [\n")[0].0, 2);
        assert!(faults("%YAML 1.2\n---\na: 1\n")[0].0 == 1);
        assert!(!faults("a: *missing\n").is_empty());
        assert!(faults("<<: &a {x: 1}\n")[0].1.contains("anchors"));
    }

    #[test]
    fn bombs_are_bounded() {
        assert!(!faults(&"[".repeat(100_000)).is_empty());
        assert!(!faults(&format!("{}1{}", "[".repeat(40), "]".repeat(40))).is_empty());
        assert!(!faults(&"- a\n".repeat(250_000)).is_empty());
        assert!(!faults(&"x".repeat(MOST_BYTES + 1)).is_empty());
        let laughs = "a: &a [x,x]\nb: &b [*a,*a]\nc: &c [*b,*b]\n";
        assert!(faults(laughs).len() >= 5);
        assert!(faults(&"a: 1\n".repeat(50_000)).len() <= MOST_FAULTS + 1);
        assert!(!faults(&format!("{}: 1\n", "k".repeat(300))).is_empty());
    }
}
