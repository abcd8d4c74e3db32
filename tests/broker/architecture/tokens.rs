//! Paths in tokens that `syn` does not parse.
//!
//! These are bodies of `macro_rules!`, arguments in a macro's own grammar, and attributes.

use proc_macro2::{Delimiter, TokenStream, TokenTree};

use super::parse::{Segments, line, segments};

/// Every path and every word in the tokens, with its line. `{…}` behind `::` is a group of imports.
pub fn paths(tokens: &TokenStream) -> Vec<(Segments, usize)> {
    let mut scan = Scan { found: Vec::new() };
    scan.read(tokens.clone(), &[]);
    scan.found
}

/// Paths in strings: `#[serde(with = "crate::domain::value::text::plain")]`.
pub fn in_strings(tokens: &TokenStream) -> Vec<(Segments, usize)> {
    let mut found = Vec::new();
    for token in tokens.clone() {
        match token {
            TokenTree::Group(group) => found.extend(in_strings(&group.stream())),
            TokenTree::Literal(literal) => {
                let text = syn::parse_str::<syn::LitStr>(&literal.to_string());
                if let Some(path) = text.ok().and_then(|text| syn::parse_str::<syn::Path>(&text.value()).ok()) {
                    found.push((segments(&path), line(literal.span())));
                }
            }
            TokenTree::Ident(_) | TokenTree::Punct(_) => {}
        }
    }
    found
}

struct Scan {
    found: Vec<(Segments, usize)>,
}

impl Scan {
    /// Reads a run of tokens whose paths all continue `before`.
    fn read(&mut self, tokens: TokenStream, before: &[String]) {
        let mut path = before.to_vec();
        let mut start = 0;
        // True behind `::`.
        let mut joined = false;
        let mut tokens = tokens.into_iter().peekable();
        while let Some(token) = tokens.next() {
            match token {
                TokenTree::Ident(ident) => {
                    if !joined {
                        self.end(&mut path, before, start);
                        start = line(ident.span());
                    }
                    path.push(ident.to_string());
                    joined = false;
                }
                TokenTree::Punct(first) if first.as_char() == ':' && is_colon(tokens.peek()) => {
                    tokens.next();
                    if path.is_empty() {
                        start = line(first.span());
                        path.push(String::new());
                    }
                    joined = true;
                }
                TokenTree::Group(group) if joined && group.delimiter() == Delimiter::Brace => {
                    let prefix = std::mem::replace(&mut path, before.to_vec());
                    self.read(group.stream(), &prefix);
                    joined = false;
                }
                TokenTree::Group(group) => {
                    self.end(&mut path, before, start);
                    self.read(group.stream(), &[]);
                    joined = false;
                }
                TokenTree::Punct(_) | TokenTree::Literal(_) => {
                    self.end(&mut path, before, start);
                    joined = false;
                }
            }
        }
        self.end(&mut path, before, start);
    }

    fn end(&mut self, path: &mut Segments, before: &[String], line: usize) {
        if path.len() > before.len() {
            self.found.push((std::mem::replace(path, before.to_vec()), line));
        }
    }
}

fn is_colon(token: Option<&TokenTree>) -> bool {
    matches!(token, Some(TokenTree::Punct(colon)) if colon.as_char() == ':')
}
