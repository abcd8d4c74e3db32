//! Mail as a part of the broker: the server, whom security is, and how far it is.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use super::boxes::{self, Progress};
use crate::broker::cursor::Told;
use crate::domain::people::addressee::Addressee;
use crate::outbound::mail::{MailFault, Mailer};

/// Mail, and how far it is.
pub struct Mail {
    /// The client of the mail server.
    pub mailer: Mailer,
    /// The addresses of security.
    pub security: Vec<String>,
    /// The origin of the console, if people can sign in there.
    pub console: Option<String>,
    /// The file of the cursor.
    pub file: PathBuf,
    /// How far it is.
    pub progress: Mutex<Progress>,
    /// What it did since the start.
    pub done: Mutex<Done>,
}

/// What mail did since the start.
#[derive(Clone, Debug, Default)]
pub struct Done {
    /// Mails that were sent.
    pub sent: u64,
    /// Tries that failed.
    pub failed: u64,
    /// Mails that were given up.
    pub given_up: u64,
    /// The last fault.
    pub last: Option<MailFault>,
    /// Owners of integrations who have no address.
    pub nobody: BTreeSet<Addressee>,
}

impl Told for Mail {
    fn cursor_name(&self) -> String {
        "mail".to_owned()
    }

    fn cursor(&self) -> Vec<u8> {
        serde_json::to_vec(&self.progress()).unwrap_or_default()
    }

    fn go_on_from(&self, body: &[u8]) -> bool {
        let Ok(other) = serde_json::from_slice::<Progress>(body) else { return false };
        self.change(|progress| *progress = other);
        true
    }
}

impl Mail {
    /// A copy of how far it is.
    pub fn progress(&self) -> Progress {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A copy of what it did.
    pub fn done(&self) -> Done {
        self.done.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What operators should know of it, if anything.
    pub fn fault(&self) -> Option<String> {
        let (progress, done) = (self.progress(), self.done());
        let failing = progress.failing().map(|since| {
            let last = done.last.map(|fault| format!(": {fault}")).unwrap_or_default();
            format!("mail fails since {since}{last}")
        });
        let nobody: Vec<String> = done.nobody.iter().map(ToString::to_string).collect();
        let nobody = (!nobody.is_empty()).then(|| format!("nobody to tell: {}", nobody.join(", ")));
        let told: Vec<String> = failing.into_iter().chain(nobody).collect();
        (!told.is_empty()).then(|| told.join("; "))
    }

    pub(super) fn change(&self, change: impl FnOnce(&mut Progress)) {
        let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut progress);
        if boxes::write(&self.file, &progress).is_err() {
            // In memory it has moved. After a restart something may be told once more.
            tracing::warn!("the cursor of mail cannot be written");
        }
    }

    pub(super) fn did(&self, change: impl FnOnce(&mut Done)) {
        change(&mut self.done.lock().unwrap_or_else(PoisonError::into_inner));
    }
}
