//! `carnet key`: the key-encryption key, the ladder of signing keys, and the journal's verifier key.

use std::path::PathBuf;

use super::answer::{Answer, Failure};
use super::exit::Exit;
use crate::journal::Kek;
use crate::journal::kek::KekFault;
use crate::server::OsEntropy;

/// Verbs.
#[derive(Clone, Debug, clap::Subcommand)]
pub enum Key {
    /// Make a key-encryption key: 32 random bytes in a file of mode 0600
    #[command(before_help = "Examples:\n  carnet key init keys/kek\n  carnet key init /var/lib/carnet/kek -o json")]
    Init {
        /// The file; one that is there is never replaced
        #[arg(value_name = "PATH")]
        path: PathBuf,
    },
}

/// Makes a KEK file.
pub fn init(path: &std::path::Path) -> Result<Answer, Failure> {
    match Kek::create(path, &OsEntropy) {
        Ok(_) => {
            let data = serde_json::json!({"path": path, "mode": "0600"});
            let text = format!("{}\n", path.display());
            let note = "keep a copy apart from the database: without it no signing key opens, with it all of them do";
            Ok(Answer::of(data, text).note(note))
        }
        Err(KekFault::File { cause, .. }) if cause.kind() == std::io::ErrorKind::AlreadyExists => {
            Err(Failure::new(Exit::Failure, format!("{} is there already, and is never replaced", path.display()))
                .why("every key that it sealed would be lost"))
        }
        Err(fault) => Err(Failure::new(Exit::Failure, "the key-encryption key cannot be made").why(fault.to_string())),
    }
}
