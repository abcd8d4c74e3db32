//! The receivers of events that a configuration names, each where it left off.

use std::sync::{Arc, Mutex};

use zeroize::Zeroizing;

use super::{StartFault, at};
use crate::broker::delivery::{Receiver, resume};
use crate::config::Config;
use crate::outbound::Outbound;
use crate::outbound::webhook::Secret;

/// Who is told what happens. `size` is that of the journal: a receiver that is new begins there.
///
/// # Errors
/// Every fault of every receiver.
pub(super) fn receivers(config: &Config, outbound: &Arc<Outbound>, size: u64) -> Result<Vec<Arc<Receiver>>, StartFault> {
    let mut faults = Vec::new();
    let mut found = Vec::new();
    for (name, section) in &config.webhooks {
        let mut fault = |key: &str, what: String, fix: &str| faults.push(at(&format!("webhooks.{name}.{key}"), what, fix));
        let url = outbound.may_deliver(&section.url).map_err(|forbidden| {
            fault("url", forbidden.to_string(), "list its exact origin in [outbound] events, if it is meant");
        });
        let text = std::fs::read_to_string(&section.secret_file).map(Zeroizing::new);
        let secret = text.ok().and_then(|text| Secret::parse(&text));
        if secret.is_none() {
            fault("secret_file", "it holds no secret".to_owned(), "write whsec_ and base64 of 32 random bytes into it");
        }
        let file = config.folder.join(format!("webhook-{name}.cursor"));
        let progress = resume(&file, size).map_err(|error| {
            fault("url", format!("its cursor {} cannot be used: {error}", file.display()), "correct or remove the file");
        });
        if let (Ok(url), Some(secret), Ok(progress)) = (url, secret, progress) {
            found.push(Arc::new(Receiver {
                name: name.clone(),
                url,
                secret,
                kinds: section.kinds.clone(),
                give_up_after: section.give_up_after,
                file,
                outbound: Arc::clone(outbound),
                progress: Mutex::new(progress),
            }));
        }
    }
    if faults.is_empty() { Ok(found) } else { Err(StartFault::Configuration(faults)) }
}
