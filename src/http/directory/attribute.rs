//! The names of attributes and the paths to them, as sources write them (RFC 7643 section 2.1, RFC 7644 section 3.5.2).
//!
//! Enter through [`Target::of`]. Every text is some target: one that names nothing of ours is [`Target::Unknown`], and what is sent for it
//! is dropped. A refused PATCH would leave somebody who left active, for the sake of an attribute that nobody here reads.

use serde_json::Value;

/// The longest path that is read; a longer one names nothing of ours.
const LONGEST: usize = 512;

/// The most conditions of a value path.
const MOST_CONDITIONS: usize = 4;

/// The schema of a user (RFC 7643 section 8.7.1).
pub const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";

/// A place in a user.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Target {
    /// `active`.
    Active,
    /// `userName`.
    UserName,
    /// `externalId`.
    ExternalId,
    /// `emails`, or some of them, or a part of each of those.
    Emails(Which, Option<Part>),
    /// The attributes of [`USER`] below its name.
    Core,
    /// Anything else.
    Unknown,
}

/// The addresses that a path names.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Which {
    /// All of them.
    All,
    /// Those of which every condition holds.
    Where(Vec<(Part, Wanted)>),
}

/// A part of an address.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Part {
    /// `value`.
    Value,
    /// `type`.
    Type,
    /// `primary`.
    Primary,
}

/// The value in a condition.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Wanted {
    /// A text.
    Text(String),
    /// `true` or `false`.
    Flag(bool),
}

impl Target {
    /// The target that a path, or the name of a member, means.
    pub fn of(path: &str) -> Self {
        let path = path.trim();
        if path.len() > LONGEST {
            return Self::Unknown;
        }
        if path.eq_ignore_ascii_case(USER) {
            return Self::Core;
        }
        let Some(path) = below_user(path) else { return Self::Unknown };
        let (name, rest) = path.split_at(path.find(['.', '[']).unwrap_or(path.len()));
        // RFC 7643 section 2.1: names of attributes do not depend on case.
        let is = |known: &str| name.eq_ignore_ascii_case(known);
        if is("emails") {
            return emails(rest).unwrap_or(Self::Unknown);
        }
        match rest {
            "" if is("active") => Self::Active,
            "" if is("userName") => Self::UserName,
            "" if is("externalId") => Self::ExternalId,
            _ => Self::Unknown,
        }
    }
}

/// The rest of a path below the schema of a user, if it names one; nothing below another schema (RFC 7644 section 3.10).
///
/// A URN has dots of its own, as in `2.0`, so it is taken off before the path is split.
fn below_user(path: &str) -> Option<&str> {
    if !path.split_at_checked(4).is_some_and(|(head, _)| head.eq_ignore_ascii_case("urn:")) {
        return Some(path);
    }
    let (schema, rest) = path.split_at_checked(USER.len())?;
    rest.strip_prefix(':').filter(|_| schema.eq_ignore_ascii_case(USER))
}

/// The name of the attribute at the top of a path.
pub fn top(path: &str) -> &str {
    let path = below_user(path.trim()).unwrap_or(path);
    path.split(['.', '[']).next().unwrap_or(path)
}

/// The rest of a path after `emails`: `[CONDITIONS]`, `.PART`, both or neither.
fn emails(rest: &str) -> Option<Target> {
    let (which, rest) = match rest.strip_prefix('[') {
        None => (Which::All, rest),
        Some(rest) => {
            let (inner, rest) = rest.split_at(closing(rest)?);
            (Which::Where(conditions(inner)?), rest.strip_prefix(']')?)
        }
    };
    match rest.strip_prefix('.') {
        Some(part) => Some(Target::Emails(which, Some(Part::of(part)?))),
        None if rest.is_empty() => Some(Target::Emails(which, None)),
        None => None,
    }
}

/// Where the bracket closes: one in quotes is text.
fn closing(text: &str) -> Option<usize> {
    let (mut quoted, mut escaped) = (false, false);
    text.char_indices().find_map(|(at, c)| {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            ']' if !quoted => return Some(at),
            _ => {}
        }
        None
    })
}

/// `PART eq VALUE`, and more of them after `and`. Other operators name nothing that we could find.
fn conditions(text: &str) -> Option<Vec<(Part, Wanted)>> {
    let mut found = Vec::new();
    let mut rest = text.trim();
    loop {
        let (part, after) = word(rest)?;
        let (operator, after) = word(after)?;
        let (value, after) = value(after)?;
        if !operator.eq_ignore_ascii_case("eq") || found.len() >= MOST_CONDITIONS {
            return None;
        }
        found.push((Part::of(part)?, value));
        if after.is_empty() {
            return Some(found);
        }
        let (and, after) = word(after)?;
        if !and.eq_ignore_ascii_case("and") {
            return None;
        }
        rest = after;
    }
}

/// The first word and what comes after it.
fn word(text: &str) -> Option<(&str, &str)> {
    let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
    (!word.is_empty()).then(|| (word, rest.trim_start()))
}

/// A value in quotes, or one word without, and what comes after it.
fn value(text: &str) -> Option<(Wanted, &str)> {
    if !text.starts_with('"') {
        let (word, rest) = word(text)?;
        return Some((flag(word).map_or_else(|| Wanted::Text(word.to_owned()), Wanted::Flag), rest));
    }
    let (quoted, rest) = quoted(text)?;
    (rest.is_empty() || rest.starts_with(' ')).then(|| (Wanted::Text(quoted), rest.trim_start()))
}

/// A text in quotes, which is a JSON string (RFC 7644 section 3.4.2.2), and what comes after it.
pub fn quoted(text: &str) -> Option<(String, &str)> {
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<String>();
    let first = values.next()?.ok()?;
    let after = values.byte_offset();
    Some((first, text.get(after..)?))
}

/// `true` or `false`, in any case: Entra sends the words `"True"` and `"False"`.
pub fn flag(text: &str) -> Option<bool> {
    match text.trim() {
        word if word.eq_ignore_ascii_case("true") => Some(true),
        word if word.eq_ignore_ascii_case("false") => Some(false),
        _ => None,
    }
}

/// A flag as JSON has it, or as a word.
pub fn flag_of(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(flag) => Some(*flag),
        Value::String(text) => flag(text),
        Value::Null | Value::Number(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

impl Part {
    /// The part of this name.
    pub fn of(name: &str) -> Option<Self> {
        let is = |known: &str| name.eq_ignore_ascii_case(known);
        if is("value") {
            Some(Self::Value)
        } else if is("type") {
            Some(Self::Type)
        } else {
            is("primary").then_some(Self::Primary)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(kind: &str) -> Which {
        Which::Where(vec![(Part::Type, Wanted::Text(kind.to_owned()))])
    }

    #[test]
    fn a_path_is_found_however_a_source_writes_it() {
        for (path, target) in [
            ("active", Target::Active),
            ("Active", Target::Active),
            ("urn:ietf:params:scim:schemas:core:2.0:User:active", Target::Active),
            ("URN:ietf:params:scim:schemas:core:2.0:user:USERNAME", Target::UserName),
            ("externalid", Target::ExternalId),
            ("urn:ietf:params:scim:schemas:core:2.0:User", Target::Core),
            ("emails", Target::Emails(Which::All, None)),
            ("emails.value", Target::Emails(Which::All, Some(Part::Value))),
            (r#"emails[type eq "work"].value"#, Target::Emails(typed("work"), Some(Part::Value))),
            (r#"Emails[Type EQ "work"].Value"#, Target::Emails(typed("work"), Some(Part::Value))),
            (r#"urn:ietf:params:scim:schemas:core:2.0:User:emails[type eq "work"]"#, Target::Emails(typed("work"), None)),
            ("emails[type eq work]", Target::Emails(typed("work"), None)),
            (r#"emails[type eq "a]\"b"].value"#, Target::Emails(typed("a]\"b"), Some(Part::Value))),
            (
                r#"emails[type eq "work" and primary eq True].value"#,
                Target::Emails(
                    Which::Where(vec![(Part::Type, Wanted::Text("work".to_owned())), (Part::Primary, Wanted::Flag(true))]),
                    Some(Part::Value),
                ),
            ),
        ] {
            assert_eq!(Target::of(path), target, "{path}");
        }
    }

    #[test]
    fn everything_else_is_unknown_and_no_fault() {
        let long = format!("emails[type eq \"{}\"]", "x".repeat(600));
        for path in [
            "",
            "displayName",
            "name.givenName",
            "active.value",
            "activex",
            "emails.display",
            "emails[",
            "emails[]",
            r#"emails[type eq "work""#,
            r#"emails[type ne "work"].value"#,
            r#"emails[type eq "work" or primary eq true].value"#,
            r#"emails[type eq "work"]x"#,
            r#"emails[type eq "work"x]"#,
            "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager",
            "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:active",
            "urn:ietf:params:scim:schemas:core:2.0:Useractive",
            "urn:",
            &long,
        ] {
            assert_eq!(Target::of(path), Target::Unknown, "{path}");
        }
    }

    #[test]
    fn flags_are_words_too_and_nothing_else() {
        for (value, flag) in [("true", Some(true)), ("\"False\"", Some(false)), ("\"TRUE\"", Some(true)), ("0", None)] {
            assert_eq!(flag_of(&serde_json::from_str(value).expect("JSON")), flag, "{value}");
        }
        for value in ["\"no\"", "null", "[true]", "{}", "\"\""] {
            assert_eq!(flag_of(&serde_json::from_str(value).expect("JSON")), None, "{value}");
        }
    }
}
