//! Parses the form of a request to an OAuth endpoint, strictly.
//!
//! `application/x-www-form-urlencoded`, RFC 6749 section 3.2 and appendix B. Framework extractors answer 422 in plain text,
//! turn broken bytes into U+FFFD and take `%zz` literally (ABUSE S10), so two programs could read two different
//! requests. This parser accepts each parameter once, only valid escapes, and only UTF-8.

use std::borrow::Cow;

use axum::http::HeaderMap;

use super::media;
use crate::domain::reason::{self, Reason};

/// The parameters of a request, each at most once.
///
/// A parameter without a value counts as absent (RFC 6749 section 3.2). A value without an escape is not copied: an assertion
/// is half of a request.
#[derive(Default)]
pub struct Form<'t> {
    parameters: Vec<(Cow<'t, str>, Cow<'t, str>)>,
    /// `resource` and `audience`, which RFC 8707 and RFC 8693 let repeat.
    ///
    /// Here more than one means no target.
    targets: Vec<(bool, Cow<'t, str>)>,
}

/// More parameters than any grant has. It bounds the work of a hostile form (ABUSE D-06).
const MOST_PARAMETERS: usize = 64;

impl<'t> Form<'t> {
    /// Parses the headers and body of a POST.
    pub fn read(headers: &HeaderMap, body: &'t [u8]) -> Result<Self, &'static Reason> {
        if !media::is(headers, "application/x-www-form-urlencoded") {
            return Err(&reason::FORM_MALFORMED);
        }
        Self::parse(std::str::from_utf8(body).map_err(|_| &reason::FORM_MALFORMED)?)
    }

    /// Parses a query, or a body as text, just as strictly.
    pub fn parse(text: &'t str) -> Result<Self, &'static Reason> {
        if text.is_empty() {
            return Ok(Self::default());
        }
        let mut form = Self { parameters: Vec::with_capacity(6), targets: Vec::new() };
        for (count, pair) in text.split('&').enumerate() {
            if count == MOST_PARAMETERS {
                return Err(&reason::FORM_MALFORMED);
            }
            let (name, value) = pair.split_once('=').ok_or(&reason::FORM_MALFORMED)?;
            form.add(decode(name)?, decode(value)?)?;
        }
        Ok(form)
    }

    fn add(&mut self, name: Cow<'t, str>, value: Cow<'t, str>) -> Result<(), &'static Reason> {
        if name == "resource" || name == "audience" {
            if !value.is_empty() {
                self.targets.push((name == "resource", value));
            }
            return Ok(());
        }
        if self.parameters.iter().any(|(known, _)| *known == name) {
            return Err(&reason::FORM_MALFORMED);
        }
        self.parameters.push((name, value));
        Ok(())
    }

    /// The parameter's value, if it has one.
    pub fn get(&self, name: &str) -> Option<&str> {
        let (_, value) = self.parameters.iter().find(|(known, _)| known == name)?;
        (!value.is_empty()).then_some(&**value)
    }

    /// The names of all parameters that were sent.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let targets = self.targets.iter().map(|(is_resource, _)| if *is_resource { "resource" } else { "audience" });
        self.parameters.iter().map(|(name, _)| &**name).chain(targets)
    }

    /// Takes the parameter's value, if it has one.
    pub fn take(&mut self, name: &str) -> Option<String> {
        let (_, value) = self.parameters.iter_mut().find(|(known, _)| known == name)?;
        (!value.is_empty()).then(|| std::mem::take(value).into_owned())
    }

    /// The one target: `true` for `resource`, and its value.
    ///
    /// `None` if there is none or more than one (ABUSE P-13).
    pub fn target(&mut self) -> Option<(bool, String)> {
        let only = if self.targets.len() == 1 { self.targets.pop() } else { None };
        only.map(|(is_resource, value)| (is_resource, value.into_owned()))
    }

    /// The same form, which owns its text.
    pub fn into_owned(self) -> Form<'static> {
        let own = |text: Cow<'t, str>| -> Cow<'static, str> { text.into_owned().into() };
        Form {
            parameters: self.parameters.into_iter().map(|(name, value)| (own(name), own(value))).collect(),
            targets: self.targets.into_iter().map(|(is_resource, value)| (is_resource, own(value))).collect(),
        }
    }
}

/// Decodes `+` to a space and `%XX` to a byte; refuses any other escape, bad UTF-8 and NUL.
fn decode(text: &str) -> Result<Cow<'_, str>, &'static Reason> {
    // The fold looks at every byte, sixteen at a time. A search that stops at the first would go byte by byte.
    let is_special = |byte| matches!(byte, b'+' | b'%' | b'\0');
    if !text.bytes().fold(false, |found, byte| found | is_special(byte)) {
        return Ok(text.into());
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let (high, low) = (digit(rest.next()), digit(rest.next()));
                let value = high.zip(low).map(|(high, low)| high << 4 | low);
                value.and_then(|value| u8::try_from(value).ok()).ok_or(&reason::FORM_MALFORMED)?
            }
            byte => byte,
        });
    }
    let text = String::from_utf8(bytes).map_err(|_| &reason::FORM_MALFORMED)?;
    if text.contains('\0') { Err(&reason::FORM_MALFORMED) } else { Ok(text.into()) }
}

#[cfg(test)]
mod tests {
    use axum::http::header;

    use super::*;

    fn read(body: &str) -> Result<Form<'_>, &'static Reason> {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, "application/x-www-form-urlencoded".parse().expect("a header"));
        Form::read(&headers, body.as_bytes())
    }

    /// D-06: a request has one reading.
    #[test]
    fn d_06_forms_are_read_strictly() {
        let form = read("a=1+2&b=%C3%A4&c=").expect("a form");
        assert_eq!((form.get("a"), form.get("b"), form.get("c"), form.get("d")), (Some("1 2"), Some("ä"), None, None));
        for bad in ["a=1&a=1", "a=%zz", "a=%", "a=%4", "a=%ff%fe", "a", "&", "a=1&&b=2", "a=%00"] {
            assert!(read(bad).is_err(), "{bad}");
        }
        let many: Vec<String> = (0..10_000).map(|i| format!("p{i}=1")).collect();
        assert!(read(&many.join("&")).is_err());
        assert!(Form::read(&HeaderMap::new(), b"a=1").is_err());
    }

    /// P-13: several targets count as no target.
    #[test]
    fn p_13_several_targets_are_none() {
        assert_eq!(read("resource=https%3A%2F%2Fa").expect("a form").target(), Some((true, "https://a".into())));
        for several in ["resource=a&resource=a", "resource=a&audience=b", "audience=a&audience=b", ""] {
            assert_eq!(read(several).expect("a form").target(), None, "{several}");
        }
    }
}
