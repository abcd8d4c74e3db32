//! The documents are true: links lead somewhere, commands exist, blocks run, and generated pages say what the code knows.
//!
//! A page that is out of date is written anew by `make docs-reference`; everything else that fails here is mended by hand.

mod citations;
mod generated;
mod language;
mod links;
mod operate;
mod page;
mod plan;
mod reasons;
mod tests_of_rows;
mod tutorials;
