//! Carnet among programs that nobody here wrote: an independent OpenID provider in front of it, independent JOSE libraries behind it,
//! and the example clients in between. What they are is pinned by the lock files beside this file; `make setup` installs them.

mod browser;
mod client;
mod clients;
pub mod process;
mod provider;
mod tokens;

pub use browser::Browser;
use process::Verifier;
pub use provider::Independent;
