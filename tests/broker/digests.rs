//! No digest is made of what `{:?}` prints: that is the form of a type's fields today, and a digest is compared with one of yesterday.
//!
//! Every function of `src` that makes a digest is read. One that also formats something with `?` fails, unless that is for people: in a
//! log line, an assertion or a panic. A text that another function formats is not followed.

use std::path::Path;

use syn::visit::{self, Visit};

/// What makes a digest, a MAC or a hash: the last name of a call.
const MAKES: [&str; 10] =
    ["of_parts", "of_json", "digest", "sign", "hash", "mac", "update", "write_all", "DefaultHasher", "finish"];

/// Macros that print for people.
const FOR_PEOPLE: [&str; 13] = [
    "assert",
    "assert_eq",
    "assert_ne",
    "debug",
    "debug_assert",
    "debug_assert_eq",
    "error",
    "info",
    "panic",
    "trace",
    "unreachable",
    "warn",
    "anyhow",
];

/// The functions of a file that make a digest and print with `?`.
#[derive(Default)]
struct Found {
    functions: Vec<String>,
}

/// What one function does.
#[derive(Default)]
struct Body {
    makes: bool,
    prints: bool,
}

fn is_test(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| match &attribute.meta {
        syn::Meta::List(list) => list.path.is_ident("cfg") && list.tokens.to_string() == "test",
        syn::Meta::Path(path) => path.segments.last().is_some_and(|last| last.ident == "test"),
        syn::Meta::NameValue(_) => false,
    })
}

impl<'a> Visit<'a> for Found {
    fn visit_item_mod(&mut self, module: &'a syn::ItemMod) {
        if !is_test(&module.attrs) {
            visit::visit_item_mod(self, module);
        }
    }

    fn visit_item_fn(&mut self, function: &'a syn::ItemFn) {
        if !is_test(&function.attrs) {
            self.judge(&function.sig, &function.block);
        }
    }

    fn visit_impl_item_fn(&mut self, function: &'a syn::ImplItemFn) {
        self.judge(&function.sig, &function.block);
    }
}

impl Found {
    fn judge(&mut self, signature: &syn::Signature, block: &syn::Block) {
        let mut body = Body::default();
        body.visit_block(block);
        if body.makes && body.prints {
            self.functions.push(signature.ident.to_string());
        }
    }
}

impl<'a> Visit<'a> for Body {
    fn visit_path(&mut self, path: &'a syn::Path) {
        let names: Vec<String> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        let of_digest = names.iter().rev().take(2).map(String::as_str).eq(["of", "Digest"]);
        self.makes |= of_digest || names.last().is_some_and(|last| MAKES.contains(&last.as_str()));
        visit::visit_path(self, path);
    }

    fn visit_expr_method_call(&mut self, call: &'a syn::ExprMethodCall) {
        self.makes |= MAKES.contains(&call.method.to_string().as_str());
        visit::visit_expr_method_call(self, call);
    }

    fn visit_macro(&mut self, called: &'a syn::Macro) {
        let name = called.path.segments.last().map(|last| last.ident.to_string()).unwrap_or_default();
        if !FOR_PEOPLE.contains(&name.as_str()) {
            let tokens = called.tokens.to_string();
            self.prints |= tokens.contains("?}");
            self.makes |= tokens.contains("Digest :: of");
        }
    }
}

fn functions(source: &str) -> Vec<String> {
    let mut found = Found::default();
    found.visit_file(&syn::parse_file(source).expect("Rust"));
    found.functions
}

fn sources(folder: &Path, all: &mut Vec<(String, String)>) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let name = path.display().to_string();
        if path.is_dir() {
            sources(&path, all);
        } else if name.ends_with(".rs") {
            all.push((name, std::fs::read_to_string(&path).expect("reads")));
        }
    }
}

/// Files that are modules of tests as a whole.
fn is_of_tests(name: &str) -> bool {
    ["/tests/", "/tests.rs", "/examples/", "/fixture.rs", "/model.rs", "/cases.rs", "/hostile.rs"]
        .iter()
        .any(|part| name.contains(part))
}

#[test]
fn no_digest_is_made_of_what_debug_prints() {
    let mut all = Vec::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut all);
    let ours = all.iter().filter(|(name, _)| !is_of_tests(name));
    let found: Vec<(&String, Vec<String>)> =
        ours.map(|(name, source)| (name, functions(source))).filter(|(_, functions)| !functions.is_empty()).collect();
    assert!(found.is_empty(), "write a struct with the names of what counts, and `Digest::of_json` of it: {found:?}");
}

/// The four that there were, and what is none.
#[test]
fn what_is_made_of_debug_is_found() {
    for source in [
        r#"fn version(one: &Revocation) -> Digest { Digest::of(format!("{} {:?}", one.id, one.lift).as_bytes()) }"#,
        r#"fn key(staff: &Staff) -> Digest { let who = format!("{:?} {}", staff.roles, staff.machine); digest(&[who.as_bytes()]) }"#,
        r#"impl A { fn weighed(&self) -> Digest { let bases: Vec<String> = items.iter().map(|item| format!("{item:?}")).collect();
            Digest::of_parts(&[&digest.0, bases.join("\n").as_bytes()]) } }"#,
        r#"mod inner { pub fn staff(all: &Staff) -> Digest { let parts = format!("{:#?}", all.roles); Digest::of(parts.as_bytes()) } }"#,
        r#"fn keyed(all: &Staff) -> Digest { Digest::of(vec![format!("{all:?}")].concat().as_bytes()) }"#,
    ] {
        assert_eq!(functions(source).len(), 1, "{source}");
    }
    for source in [
        r#"fn told(one: &One) -> Digest { tracing::warn!("{one:?}"); Digest::of_json(one) }"#,
        r#"fn shown(one: &One) -> String { format!("{one:?}") }"#,
        r#"#[cfg(test)] mod tests { fn key(one: &One) -> Digest { Digest::of(format!("{one:?}").as_bytes()) } }"#,
    ] {
        assert!(functions(source).is_empty(), "{source}");
    }
}
