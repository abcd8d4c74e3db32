//! Reads one source file with `syn` and keeps what the rules ask for, as plain strings.
//!
//! Enter through [`Source::parse`]. A syntax tree of `syn` can't be shared between threads, and a rule needs little of it: the
//! paths that the code names, what it imports, which modules it declares, its `match` expressions and its length.
//!
//! `#[cfg(test)] mod` items at the end of a file are left out; every other item counts, wherever it stands. Documentation is not code.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::{Span, TokenStream};
use syn::parse::Parser;
use syn::punctuated::Punctuated;
use syn::visit::{self, Visit};

use super::patterns::{Match, Pattern};
use super::tokens;

/// The segments of a path as written: `crate`, `domain`, `state`.
///
/// A leading `::` is an empty first segment.
pub type Segments = Vec<String>;

/// One `use` of one name.
#[derive(Clone, Debug)]
pub struct Import {
    /// The name that the module has from it; `*` for a glob.
    pub name: String,
    pub target: Segments,
    /// `pub`, `pub(crate)` or `pub(super)`: handed on to others.
    pub handed_on: bool,
    pub line: usize,
}

/// The paths and imports of one module of a file.
///
/// Most files are one module; `mod inner { … }` adds another.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    pub imports: Vec<Import>,
    /// Paths in expressions, types, patterns, attributes and macros, with the lines of each.
    pub paths: BTreeMap<Segments, Vec<usize>>,
    /// Words that stand alone: a name that was imported and is used here.
    pub words: BTreeSet<String>,
}

/// One file of `src`.
#[derive(Clone, Debug)]
pub struct Source {
    /// Below `src`: `domain/state.rs`.
    pub path: String,
    pub text: String,
    /// `domain`, `state`.
    pub module: Segments,
    /// By module: the file's own, and those that it writes inline.
    pub scopes: BTreeMap<Segments, Scope>,
    /// Modules that it declares for tests alone.
    pub test_modules: Vec<Segments>,
    /// Enums that it declares, by module and name.
    pub enums: BTreeSet<Segments>,
    pub matches: Vec<Match>,
    /// `async` and `await`, with their lines.
    pub waits: Vec<(usize, String)>,
    /// Code that lies in a file of another name, with the line.
    pub hidden: Vec<(usize, &'static str)>,
    /// All lines but those of the test modules at its end.
    pub lines: usize,
}

impl Source {
    /// Parses `text`, the content of `path` below `src`.
    pub fn parse(path: &str, text: &str) -> Self {
        let file = syn::parse_file(text).unwrap_or_else(|error| panic!("{path} is not Rust: {error}"));
        let tests: Vec<_> = file.items.iter().rev().map_while(test_module).collect();
        let (code, _) = file.items.split_at(file.items.len() - tests.len());
        let first = tests.last().and_then(|module| module.attrs.first());
        let end = first.map_or(usize::MAX, |attribute| line(attribute.pound_token.span) - 1);
        let written = text.lines().take(end).enumerate().filter(|(_, line)| !line.trim().is_empty());
        let lines = written.last().map_or(0, |(at, _)| at + 1);
        let module = module_of(path);
        let mut reader = Reader {
            module: module.clone(),
            functions: Vec::new(),
            self_type: None,
            source: Self {
                path: path.to_owned(),
                text: text.to_owned(),
                scopes: BTreeMap::from([(module.clone(), Scope::default())]),
                module,
                test_modules: Vec::new(),
                enums: BTreeSet::new(),
                matches: Vec::new(),
                waits: Vec::new(),
                hidden: Vec::new(),
                lines,
            },
        };
        file.attrs.iter().for_each(|attribute| reader.visit_attribute(attribute));
        code.iter().for_each(|item| reader.visit_item(item));
        tests.into_iter().for_each(|module| reader.note_test_module(module));
        reader.source
    }

    /// `domain` of `domain/state.rs`.
    pub fn room(&self) -> &str {
        self.module.first().map_or("lib", String::as_str)
    }
}

/// The module that a file is: `journal/mod.rs` is `journal`, `lib.rs` is the crate itself.
fn module_of(path: &str) -> Segments {
    let path = path.trim_end_matches(".rs").trim_end_matches("/mod");
    if path == "lib" { Vec::new() } else { path.split('/').map(str::to_owned).collect() }
}

fn test_module(item: &syn::Item) -> Option<&syn::ItemMod> {
    match item {
        syn::Item::Mod(module) if is_for_tests(&module.attrs) => Some(module),
        _ => None,
    }
}

fn is_for_tests(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && matches!(&attribute.meta, syn::Meta::List(list) if list.tokens.to_string() == "test")
    })
}

pub(super) fn line(span: Span) -> usize {
    span.start().line
}

/// The line of a path's first segment.
fn start(path: &syn::Path) -> usize {
    path.segments.first().map_or(0, |segment| line(segment.ident.span()))
}

pub(super) fn segments(path: &syn::Path) -> Segments {
    let root = path.leading_colon.iter().map(|_| String::new());
    root.chain(path.segments.iter().map(|segment| segment.ident.to_string())).collect()
}

struct Reader {
    module: Segments,
    functions: Vec<String>,
    self_type: Option<Segments>,
    source: Source,
}

impl Reader {
    fn scope(&mut self) -> &mut Scope {
        self.source.scopes.entry(self.module.clone()).or_default()
    }

    fn note(&mut self, path: Segments, line: usize) {
        match path.as_slice() {
            [] => {}
            [word] => {
                self.scope().words.insert(word.clone());
                if word == "async" || word == "await" {
                    self.source.waits.push((line, word.clone()));
                }
            }
            [first, ..] => {
                let scope = self.scope();
                scope.words.insert(first.clone());
                scope.paths.entry(path).or_default().push(line);
            }
        }
    }

    /// `<Verified<T>>::assertion` is a path of `Verified`. False for every other form.
    fn note_owned(&mut self, owner: Option<&syn::QSelf>, path: &syn::Path) -> bool {
        let Some(syn::QSelf { ty, position: 0, .. }) = owner else { return false };
        self.visit_type(ty);
        path.segments.iter().for_each(|segment| self.visit_path_arguments(&segment.arguments));
        if let syn::Type::Path(owner) = &**ty {
            let below = path.segments.iter().map(|segment| segment.ident.to_string());
            self.note(segments(&owner.path).into_iter().chain(below).collect(), start(path));
        }
        true
    }

    fn note_tokens(&mut self, tokens: &TokenStream) {
        tokens::paths(tokens).into_iter().for_each(|(path, line)| self.note(path, line));
    }

    fn note_test_module(&mut self, module: &syn::ItemMod) {
        let path = [self.module.as_slice(), &[module.ident.to_string()]].concat();
        self.source.test_modules.push(path);
    }

    fn import(&mut self, tree: &syn::UseTree, before: &[String], handed_on: bool) {
        let mut add = |ident: &syn::Ident, name: String| {
            // `use super::fault::{self, Fault}` names the module itself.
            let own = ident == "self" && !before.is_empty();
            let target = if own { before.to_vec() } else { [before, &[ident.to_string()]].concat() };
            let name = if own && name == "self" { before.last().cloned().unwrap_or_default() } else { name };
            let import = Import { name, target, handed_on, line: line(ident.span()) };
            self.scope().imports.push(import);
        };
        match tree {
            syn::UseTree::Path(path) => {
                let before = [before, &[path.ident.to_string()]].concat();
                self.import(&path.tree, &before, handed_on);
            }
            syn::UseTree::Name(name) => add(&name.ident, name.ident.to_string()),
            syn::UseTree::Rename(rename) => add(&rename.ident, rename.rename.to_string()),
            syn::UseTree::Glob(glob) => {
                let import =
                    Import { name: "*".to_owned(), target: before.to_vec(), handed_on, line: line(glob.star_token.span) };
                self.scope().imports.push(import);
            }
            syn::UseTree::Group(group) => group.items.iter().for_each(|tree| self.import(tree, before, handed_on)),
        }
    }

    fn inside(&mut self, function: String, visit: impl FnOnce(&mut Self)) {
        self.functions.push(function);
        visit(self);
        self.functions.pop();
    }

    fn function(&self, signature: &syn::Signature) -> String {
        let owner = self.self_type.as_ref().and_then(|path| path.last());
        owner.map_or_else(|| signature.ident.to_string(), |owner| format!("{owner}::{}", signature.ident))
    }
}

impl<'ast> Visit<'ast> for Reader {
    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        let root = item.leading_colon.iter().map(|_| String::new()).collect::<Vec<_>>();
        let handed_on = !matches!(item.vis, syn::Visibility::Inherited);
        self.import(&item.tree, &root, handed_on);
    }

    fn visit_item_extern_crate(&mut self, item: &'ast syn::ItemExternCrate) {
        let own = item.ident == "self";
        let target = if own { vec!["crate".to_owned()] } else { vec![String::new(), item.ident.to_string()] };
        let name = item.rename.as_ref().map_or(&item.ident, |(_, name)| name).to_string();
        self.scope().imports.push(Import { name, target, handed_on: false, line: line(item.ident.span()) });
    }

    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        if item.content.is_none() {
            if item.attrs.iter().any(|attribute| attribute.path().is_ident("path")) {
                self.source.hidden.push((line(item.ident.span()), "#[path]"));
            }
            if is_for_tests(&item.attrs) {
                self.note_test_module(item);
            }
            return;
        }
        self.module.push(item.ident.to_string());
        self.scope();
        visit::visit_item_mod(self, item);
        self.module.pop();
    }

    fn visit_item_enum(&mut self, item: &'ast syn::ItemEnum) {
        self.source.enums.insert([self.module.as_slice(), &[item.ident.to_string()]].concat());
        visit::visit_item_enum(self, item);
    }

    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        let own = match &*item.self_ty {
            syn::Type::Path(path) => Some(segments(&path.path)),
            _ => None,
        };
        let before = std::mem::replace(&mut self.self_type, own);
        visit::visit_item_impl(self, item);
        self.self_type = before;
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.inside(self.function(&item.sig), |reader| visit::visit_item_fn(reader, item));
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.inside(self.function(&item.sig), |reader| visit::visit_impl_item_fn(reader, item));
    }

    fn visit_token_stream(&mut self, _: &'ast TokenStream) {}

    fn visit_path(&mut self, path: &'ast syn::Path) {
        self.note(segments(path), start(path));
        visit::visit_path(self, path);
    }

    fn visit_expr_path(&mut self, expression: &'ast syn::ExprPath) {
        if !self.note_owned(expression.qself.as_ref(), &expression.path) {
            visit::visit_expr_path(self, expression);
        }
    }

    fn visit_type_path(&mut self, owned: &'ast syn::TypePath) {
        if !self.note_owned(owned.qself.as_ref(), &owned.path) {
            visit::visit_type_path(self, owned);
        }
    }

    fn visit_attribute(&mut self, attribute: &'ast syn::Attribute) {
        if attribute.path().is_ident("doc") || attribute.path().is_ident("cfg") {
            return;
        }
        self.note(segments(attribute.path()), line(attribute.pound_token.span));
        match &attribute.meta {
            syn::Meta::Path(_) => {}
            syn::Meta::List(list) => {
                self.note_tokens(&list.tokens);
                tokens::in_strings(&list.tokens).into_iter().for_each(|(path, line)| self.note(path, line));
            }
            syn::Meta::NameValue(pair) => self.visit_expr(&pair.value),
        }
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        self.note(segments(&call.path), start(&call.path));
        if call.path.is_ident("include") {
            self.source.hidden.push((start(&call.path), "include!"));
        }
        // Arguments that are expressions are read as such, so that a `match` in `format!` is seen. So are items: an enum may be declared
        // through a macro. Other tokens are scanned.
        let arguments = Punctuated::<syn::Expr, syn::Token![,]>::parse_terminated;
        if let Ok(arguments) = arguments.parse2(call.tokens.clone()) {
            arguments.iter().for_each(|argument| self.visit_expr(argument));
        } else if let Ok(items) = syn::parse2::<syn::File>(call.tokens.clone()) {
            items.items.iter().for_each(|item| self.visit_item(item));
        } else {
            self.note_tokens(&call.tokens);
        }
    }

    fn visit_signature(&mut self, signature: &'ast syn::Signature) {
        if let Some(word) = &signature.asyncness {
            self.source.waits.push((line(word.span), "async".to_owned()));
        }
        visit::visit_signature(self, signature);
    }

    fn visit_expr_async(&mut self, block: &'ast syn::ExprAsync) {
        self.source.waits.push((line(block.async_token.span), "async".to_owned()));
        visit::visit_expr_async(self, block);
    }

    fn visit_expr_closure(&mut self, closure: &'ast syn::ExprClosure) {
        if let Some(word) = &closure.asyncness {
            self.source.waits.push((line(word.span), "async".to_owned()));
        }
        visit::visit_expr_closure(self, closure);
    }

    fn visit_expr_await(&mut self, wait: &'ast syn::ExprAwait) {
        self.source.waits.push((line(wait.await_token.span), "await".to_owned()));
        visit::visit_expr_await(self, wait);
    }

    fn visit_expr_match(&mut self, expression: &'ast syn::ExprMatch) {
        let arms = expression
            .arms
            .iter()
            .map(|arm| (Pattern::read(&arm.pat, self.self_type.as_deref()), matches!(arm.pat, syn::Pat::Guard(_))))
            .collect();
        self.source.matches.push(Match {
            module: self.module.clone(),
            function: self.functions.join("::"),
            line: line(expression.match_token.span),
            arms,
        });
        visit::visit_expr_match(self, expression);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(text: &str) -> Vec<String> {
        let source = Source::parse("domain/sample.rs", text);
        source.scopes.values().flat_map(|scope| scope.paths.keys()).map(|path| path.join("::")).collect()
    }

    #[test]
    fn code_behind_a_test_module_is_code() {
        let source = Source::parse(
            "a.rs",
            "#[cfg(test)] mod early { }\nasync fn seen() {}\n\n#[cfg(test)]\nmod late { async fn unseen() {} }\n",
        );
        assert_eq!((source.waits.len(), source.lines), (1, 2));
    }

    #[test]
    fn a_function_for_tests_is_code() {
        assert_eq!(paths("#[cfg(test)] fn kill() { crate::http::stop() }"), ["crate::http::stop"]);
    }

    #[test]
    fn paths_are_read_wherever_they_stand() {
        for text in [
            "fn f() { crate::a::b() }",
            "fn f(x: crate::a::b) {}",
            "fn f() { println!(\"{}\", crate::a::b) }",
            "macro_rules! m { () => { $crate::a::b } }",
            "m! { how: crate::a::b; }",
            "macro_rules! m { () => { use crate::a::{b}; } }",
            "#[serde(with = \"crate::a::b\")] struct S;",
            "#[crate::a::b] struct S;",
            "fn f() { <crate::a>::b() }",
            "impl crate::a::b for S {}",
            "fn f() { match x { crate::a::b => {} } }",
        ] {
            assert!(paths(text).contains(&"crate::a::b".to_owned()), "{text}");
        }
    }

    #[test]
    fn an_enum_in_a_macro_is_seen() {
        let source = Source::parse("a.rs", "kinds! { /// About.\n pub enum Kind { #[kind = \"a.b\"] One(crate::a::b), } }");
        assert_eq!(source.enums.iter().next(), Some(&vec!["a".to_owned(), "Kind".to_owned()]));
        assert!(source.scopes.values().any(|scope| scope.paths.keys().any(|path| path.join("::") == "crate::a::b")));
    }

    #[test]
    fn documentation_is_left_out() {
        assert!(paths("/// See [`crate::a::b`].\nfn f() {}").is_empty());
    }

    #[test]
    fn imports_are_read_out_of_groups() {
        let source = Source::parse("a.rs", "use crate::{a::{self, b as c}, d::*};");
        let imports = &source.scopes[&source.module].imports;
        let told = imports.iter().map(|import| format!("{} = {}", import.name, import.target.join("::")));
        assert_eq!(told.collect::<Vec<_>>(), ["a = crate::a", "c = crate::a::b", "* = crate::d"]);
    }
}
