//! Patterns of `match` arms, and the question whether an arm is a catch-all.

use syn::punctuated::Punctuated;

use super::parse::{Segments, segments};

/// A step from a pattern to one inside it: the variant, and the field by number or name.
pub type Step = (String, String);

/// A pattern, as far as the rule about catch-all arms reads it.
#[derive(Clone, Debug)]
pub enum Pattern {
    /// `_`, `..` or a name that binds every value.
    Any,
    /// A variant or a struct, with its fields by number or name; `open` if it ends in `..`.
    Named {
        path: Segments,
        fields: Vec<(String, Pattern)>,
        open: bool,
    },
    Tuple {
        fields: Vec<(String, Pattern)>,
        open: bool,
    },
    Or(Vec<Pattern>),
    /// Literals, ranges, slices, macros.
    Other,
}

/// One `match`.
#[derive(Clone, Debug)]
pub struct Match {
    pub module: Segments,
    /// The function that it stands in, with its type: `State::apply`.
    pub function: String,
    pub line: usize,
    /// Arms without a guard are the ones that can catch all.
    pub arms: Vec<(Pattern, bool)>,
}

impl Pattern {
    /// Reads a pattern; `own` is the type that `Self` stands for.
    pub fn read(pattern: &syn::Pat, own: Option<&[String]>) -> Self {
        let named = |path: &syn::Path, fields, open| Self::Named { path: variant(path, own), fields, open };
        match pattern {
            syn::Pat::Wild(_) | syn::Pat::Rest(_) => Self::Any,
            syn::Pat::Ident(name) => match &name.subpat {
                Some((_, below)) => Self::read(below, own),
                None if name.ident.to_string().starts_with(char::is_uppercase) => {
                    Self::Named { path: vec![name.ident.to_string()], fields: Vec::new(), open: false }
                }
                None => Self::Any,
            },
            syn::Pat::Guard(guarded) => Self::read(&guarded.pat, own),
            syn::Pat::Paren(inner) => Self::read(&inner.pat, own),
            syn::Pat::Reference(inner) => Self::read(&inner.pat, own),
            syn::Pat::Type(inner) => Self::read(&inner.pat, own),
            syn::Pat::Or(or) => Self::Or(or.cases.iter().map(|case| Self::read(case, own)).collect()),
            syn::Pat::Path(path) => named(&path.path, Vec::new(), false),
            syn::Pat::Tuple(tuple) => {
                let (fields, open) = numbered(&tuple.elems, own);
                Self::Tuple { fields, open }
            }
            syn::Pat::TupleStruct(variant) => {
                let (fields, open) = numbered(&variant.elems, own);
                named(&variant.path, fields, open)
            }
            syn::Pat::Struct(variant) => {
                let fields = variant.fields.iter().map(|field| (member(&field.member), Self::read(&field.pat, own)));
                named(&variant.path, fields.collect(), variant.rest.is_some())
            }
            _ => Self::Other,
        }
    }

    /// Every variant that the pattern names, with the steps that lead there.
    pub fn names(&self) -> Vec<(Vec<Step>, &Segments)> {
        let mut names = Vec::new();
        self.collect(&mut Vec::new(), &mut names);
        names
    }

    fn collect<'a>(&'a self, steps: &mut Vec<Step>, names: &mut Vec<(Vec<Step>, &'a Segments)>) {
        let (owner, fields) = match self {
            Self::Any | Self::Other => return,
            Self::Or(cases) => return cases.iter().for_each(|case| case.collect(steps, names)),
            Self::Tuple { fields, .. } => (String::new(), fields),
            Self::Named { path, fields, .. } => {
                names.push((steps.clone(), path));
                (path.last().cloned().unwrap_or_default(), fields)
            }
        };
        for (field, pattern) in fields {
            steps.push((owner.clone(), field.clone()));
            pattern.collect(steps, names);
            steps.pop();
        }
    }

    /// Asks whether the pattern takes every value at the end of `steps`.
    pub fn takes_any_at(&self, steps: &[Step]) -> bool {
        let (owner, fields, open) = match self {
            Self::Any => return true,
            Self::Other => return false,
            Self::Or(cases) => return cases.iter().any(|case| case.takes_any_at(steps)),
            Self::Tuple { fields, open } => ("", fields, open),
            Self::Named { path, fields, open } => (path.last().map_or("", String::as_str), fields, open),
        };
        let Some(((wanted, field), rest)) = steps.split_first() else {
            return false;
        };
        if owner != wanted {
            return false;
        }
        match fields.iter().find(|(name, _)| name == field) {
            Some((_, pattern)) => pattern.takes_any_at(rest),
            None => *open,
        }
    }

    /// Asks whether the pattern takes every value beside the way to the end of `steps`.
    pub fn is_free_beside(&self, steps: &[Step]) -> bool {
        let fields = match self {
            Self::Any => return true,
            Self::Other => return false,
            Self::Or(cases) => return cases.iter().any(|case| case.takes_any_at(steps) && case.is_free_beside(steps)),
            Self::Tuple { fields, .. } | Self::Named { fields, .. } => fields,
        };
        let Some(((_, field), rest)) = steps.split_first() else { return true };
        fields
            .iter()
            .all(|(name, pattern)| if name == field { pattern.is_free_beside(rest) } else { matches!(pattern, Self::Any) })
    }

    /// The variants that a tuple names in its other fields than the one of `step`.
    pub fn beside(&self, step: &Step) -> Vec<String> {
        match self {
            Self::Tuple { fields, .. } => {
                let others = fields.iter().filter(|(name, _)| *name != step.1);
                others
                    .flat_map(|(name, pattern)| pattern.heads().into_iter().map(move |head| format!("{name} {head}")))
                    .collect()
            }
            Self::Or(cases) => cases.iter().flat_map(|case| case.beside(step)).collect(),
            Self::Any | Self::Named { .. } | Self::Other => Vec::new(),
        }
    }

    /// The outermost variants of a pattern.
    fn heads(&self) -> Vec<String> {
        match self {
            Self::Any => vec!["_".to_owned()],
            Self::Named { path, .. } => path.last().cloned().into_iter().collect(),
            Self::Or(cases) => cases.iter().flat_map(Self::heads).collect(),
            Self::Tuple { .. } => vec!["()".to_owned()],
            Self::Other => vec!["?".to_owned()],
        }
    }
}

/// Fields by position. What stands behind `..` is not numbered: it counts as open.
fn numbered(elements: &Punctuated<syn::Pat, syn::Token![,]>, own: Option<&[String]>) -> (Vec<(String, Pattern)>, bool) {
    let known = elements.iter().take_while(|element| !matches!(element, syn::Pat::Rest(_)));
    let fields: Vec<_> = known.enumerate().map(|(at, element)| (at.to_string(), Pattern::read(element, own))).collect();
    let open = fields.len() < elements.len();
    (fields, open)
}

fn member(member: &syn::Member) -> String {
    match member {
        syn::Member::Named(name) => name.to_string(),
        syn::Member::Unnamed(index) => index.index.to_string(),
    }
}

/// A variant's path, with the type's name for `Self`.
fn variant(path: &syn::Path, own: Option<&[String]>) -> Segments {
    let path = segments(path);
    match (own, path.split_first()) {
        (Some(own), Some((first, rest))) if first == "Self" => [own, rest].concat(),
        _ => path,
    }
}
