//! The file with the servers' addresses: `$XDG_CONFIG_HOME/carnet/contexts.toml`.
//!
//! `carnet dev` and `carnet login` write it.
//!
//! ```toml
//! current = "dev"                                          # the context without --context
//!
//! [contexts.dev]
//! server = "http://127.0.0.1:7401"                         # the admin address
//! public_server = "http://127.0.0.1:7400"
//! staff_token_file = "/home/jane/.config/carnet/staff"     # a file with the staff token, or …
//! staff_token_url = "http://127.0.0.1:7402/staff/token"    # … a service (`dev` only): GET ?person=NAME → {"value": …}
//! person = "ann"                                           # the person for staff_token_url without --as
//! assertion_url = "http://127.0.0.1:7402/workloads/token"  # the demo proofs (`dev` only): GET ?audience=ISSUER → {"value": …}
//!
//! [contexts.staff.sign_in]                                 # the last arguments of `carnet login`
//! issuer = "https://idp.acme.example"
//! client_id = "carnet-cli"
//!
//! [contexts.dev.environments]                              # environment → its issuer
//! production = "http://127.0.0.1:7400/production"
//! ```
//!
//! The file decides where tokens are sent, so only its owner may have access (mode 0600). Any other file is refused, not repaired.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::journal::file::{is_open_to_others, private_folder, replace};

/// The same for `carnet help status`.
pub const HELP: &str = "\
Contexts: $XDG_CONFIG_HOME/carnet/contexts.toml (mode 0600), which `carnet dev` and `carnet login` write:
  current = \"dev\"
  [contexts.dev]
  server = \"http://127.0.0.1:7401\"           # admin address
  public_server = \"http://127.0.0.1:7400\"
  staff_token_file = \"/path/to/a/file\"       # your staff token
  [contexts.dev.environments]
  production = \"http://127.0.0.1:7400/production\"";

/// The content of the file.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Contexts {
    /// The name of the context that is used without `--context`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current: Option<String>,
    /// The contexts, by name.
    #[serde(default)]
    pub contexts: BTreeMap<String, Context>,
}

/// One broker, as its users reach it.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Context {
    /// The admin address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
    /// The public address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub public_server: Option<String>,
    /// A file with the staff token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub staff_token_file: Option<PathBuf>,
    /// The service that gives staff tokens (`dev` only).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub staff_token_url: Option<String>,
    /// The person that `staff_token_url` is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub person: Option<String>,
    /// The service that gives workloads' proofs (`dev` only).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub assertion_url: Option<String>,
    /// The identity provider of its staff, from the last `carnet login`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sign_in: Option<SignIn>,
    /// The environments and their issuers.
    #[serde(default)]
    pub environments: BTreeMap<String, String>,
}

/// An identity provider, and the id of the command line's client there.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct SignIn {
    /// The provider's issuer URL.
    pub issuer: String,
    /// The client's id.
    pub client_id: String,
}

/// The reason why contexts cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum ContextFault {
    /// There is no home folder for the file.
    #[error("neither XDG_CONFIG_HOME nor HOME is set")]
    NoHome,
    /// The file cannot be read or written.
    #[error("{path}: {cause}")]
    File {
        /// Its path.
        path: PathBuf,
        /// The cause.
        cause: io::Error,
    },
    /// Others may read or write it.
    #[error("{0} is open to others: its mode must be 0600")]
    Mode(PathBuf),
    /// It is not a context file. The message quotes nothing of it.
    #[error("{path}: line {line}: {message}")]
    Form {
        /// Its path.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// The fault.
        message: String,
    },
}

/// The path of the file: `$XDG_CONFIG_HOME/carnet/contexts.toml`, else below `$HOME/.config`.
pub fn default_path() -> Result<PathBuf, ContextFault> {
    path_of(|name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from))
}

fn path_of(variable: impl Fn(&str) -> Option<PathBuf>) -> Result<PathBuf, ContextFault> {
    // The XDG specification says to ignore relative paths.
    let configured = variable("XDG_CONFIG_HOME").filter(|path| path.is_absolute());
    let folder = configured.or_else(|| variable("HOME").map(|home| home.join(".config"))).ok_or(ContextFault::NoHome)?;
    Ok(folder.join("carnet").join("contexts.toml"))
}

/// Reads the file; an absent file is empty.
///
/// # Errors
/// A file that others may read or write, or one of another form.
pub fn read(path: &Path) -> Result<Contexts, ContextFault> {
    let fault = |cause| ContextFault::File { path: path.to_owned(), cause };
    let file = match fs::File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Contexts::default()),
        opened => opened.map_err(fault)?,
    };
    if is_open_to_others(&file.metadata().map_err(fault)?) {
        return Err(ContextFault::Mode(path.to_owned()));
    }
    let text = io::read_to_string(file).map_err(fault)?;
    toml::from_str(&text).map_err(|error| {
        let line = error.span().map_or(1, |span| text.bytes().take(span.start).filter(|byte| *byte == b'\n').count() + 1);
        ContextFault::Form { path: path.to_owned(), line, message: error.message().to_owned() }
    })
}

/// Writes a context into the user's file, makes it the current one, and returns the file's path.
///
/// The other contexts stay.
///
/// # Errors
/// There is no home folder, or the file cannot be read or replaced.
pub fn write(name: &str, context: &Context) -> Result<PathBuf, ContextFault> {
    let path = default_path()?;
    let mut contexts = read(&path)?;
    contexts.contexts.insert(name.to_owned(), context.clone());
    contexts.current = Some(name.to_owned());
    store(&path, &contexts)?;
    Ok(path)
}

/// Removes a context, if it is still the one that was written.
///
/// # Errors
/// As [`write()`].
pub fn remove(name: &str, context: &Context) -> Result<(), ContextFault> {
    let path = default_path()?;
    let mut contexts = read(&path)?;
    if contexts.contexts.get(name) != Some(context) {
        return Ok(());
    }
    contexts.contexts.remove(name);
    if contexts.current.as_deref() == Some(name) {
        contexts.current = contexts.contexts.keys().next().cloned();
    }
    store(&path, &contexts)
}

/// Replaces the file as a whole, for its owner alone: a reader sees the old or the new one.
fn store(path: &Path, contexts: &Contexts) -> Result<(), ContextFault> {
    let fault = |cause| ContextFault::File { path: path.to_owned(), cause };
    let folder = path.parent().unwrap_or(Path::new("."));
    private_folder(folder).map_err(fault)?;
    let text = toml::to_string(contexts).map_err(|error| fault(io::Error::other(error)))?;
    let content = format!("# Written by carnet; see `carnet help status`.\n{text}");
    replace(path, content.as_bytes()).map_err(fault)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context(server: &str) -> Context {
        let environments = BTreeMap::from([("production".to_owned(), format!("{server}/production"))]);
        Context { server: Some(server.to_owned()), environments, ..Context::default() }
    }

    #[test]
    fn the_place_follows_the_xdg_specification() {
        let with = |pairs: &'static [(&str, &str)]| {
            path_of(|name| pairs.iter().find(|(known, _)| *known == name).map(|(_, value)| PathBuf::from(value)))
        };
        assert_eq!(with(&[("XDG_CONFIG_HOME", "/x"), ("HOME", "/h")]).expect("a path"), Path::new("/x/carnet/contexts.toml"));
        assert_eq!(
            with(&[("XDG_CONFIG_HOME", "x"), ("HOME", "/h")]).expect("a path"),
            Path::new("/h/.config/carnet/contexts.toml")
        );
        assert!(matches!(with(&[]), Err(ContextFault::NoHome)));
    }

    #[test]
    fn what_is_written_is_read_and_nobody_else_may_read_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("carnet/contexts.toml");
        assert!(read(&path).expect("none").contexts.is_empty());
        let one =
            Contexts { current: Some("dev".to_owned()), contexts: BTreeMap::from([("dev".to_owned(), context("http://a"))]) };
        store(&path, &one).expect("stored");
        assert_eq!(read(&path).expect("read").contexts["dev"], context("http://a"));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            assert_eq!(fs::metadata(&path).expect("a file").permissions().mode() & 0o777, 0o600);
            fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).expect("a mode");
            assert!(matches!(read(&path), Err(ContextFault::Mode(_))));
            fs::set_permissions(&path, fs::Permissions::from_mode(0o602)).expect("a mode");
            assert!(matches!(read(&path), Err(ContextFault::Mode(_))));
        }
    }

    #[test]
    fn an_unknown_key_is_refused_with_its_line() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("contexts.toml");
        replace(&path, b"current = \"dev\"\n[contexts.dev]\nsevrer = \"x\"\n").expect("written");
        let ContextFault::Form { line, .. } = read(&path).expect_err("refused") else { panic!("another fault") };
        assert_eq!(line, 3);
    }
}
