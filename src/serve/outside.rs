//! The clients of outside services: receivers of events, the ticket system, mail, and sign-in of staff.
//!
//! Each receiver resumes after the last entry that it got.

use std::sync::{Arc, Mutex};

use zeroize::Zeroizing;

use super::fault::{StartFault, at};
use crate::authn::sign_in::{Client, Way};
use crate::authn::tls;
use crate::broker::delivery::{Receiver, look, resume};
use crate::broker::mail::{self, Mail};
use crate::broker::ticket::Tickets;
use crate::config::{Config, MailTls};
use crate::outbound::Outbound;
use crate::outbound::mail::{MailSettings, Mailer, Protection, Unmailable};
use crate::outbound::ticket::Credential;
use crate::outbound::webhook::Secret;

/// The receivers of events.
///
/// `size` is that of the journal: a new receiver begins there. Without it no cursor file is written.
///
/// # Errors
/// Every fault of every receiver.
pub(super) fn receivers(
    config: &Config,
    outbound: &Arc<Outbound>,
    size: Option<u64>,
) -> Result<Vec<Arc<Receiver>>, StartFault> {
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
        let progress = match size {
            Some(size) => resume(&file, size),
            None => look(&file).map(Option::unwrap_or_default),
        };
        let progress = progress.map_err(|error| {
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

/// The ticket system, if there is one.
///
/// # Errors
/// Every fault of its section.
pub(super) fn tickets(config: &Config, outbound: &Arc<Outbound>) -> Result<Option<Arc<Tickets>>, StartFault> {
    let Some(section) = &config.tickets else { return Ok(None) };
    let mut faults = Vec::new();
    // A ticket's number changes neither host nor form.
    if let Err(forbidden) = outbound.may_ask(&section.url.replace("{ticket}", "1")) {
        let fix = "list its exact origin in [outbound] tickets, if it is meant";
        faults.push(at("tickets.url", forbidden.to_string(), fix));
    }
    let token = std::fs::read_to_string(&section.token_file).map(Zeroizing::new);
    let Some(credential) = token.ok().and_then(|token| Credential::bearer(&token)) else {
        faults.push(at(
            "tickets.token_file",
            "it holds no token".to_owned(),
            "write the bearer token into it, and nothing else",
        ));
        return Err(StartFault::Configuration(faults));
    };
    if !faults.is_empty() {
        return Err(StartFault::Configuration(faults));
    }
    Ok(Some(Arc::new(Tickets {
        url: section.url.clone(),
        credential,
        pointer: section.pointer.clone(),
        title: section.title.clone(),
        open: section.open.clone(),
        outbound: Arc::clone(outbound),
        seen: Mutex::default(),
    })))
}

/// Mail, if there is a mail server.
///
/// `size` is that of the journal: the first start with mail begins there. Without it no cursor file is written. `console` is the origin of
/// the console's pages, if people can sign in there.
///
/// # Errors
/// Every fault of its section.
pub(super) fn mail(
    config: &Config,
    secret: Zeroizing<[u8; 32]>,
    size: Option<u64>,
    console: Option<&str>,
) -> Result<Option<Mail>, StartFault> {
    let Some(section) = &config.mail else { return Ok(None) };
    let mut faults = Vec::new();
    let mut fault = |key: &str, what: String, fix: &str| faults.push(at(&format!("mail.{key}"), what, fix));
    let roots = tls::roots(section.ca_file.as_deref()).map_err(|error| {
        fault("ca_file", format!("its roots cannot be used: {error}"), "name a PEM file with the roots of the mail server");
    });
    let credentials = match (&section.username, &section.password_file) {
        (Some(user), Some(file)) => match std::fs::read_to_string(file).map(Zeroizing::new) {
            Ok(password) if !password.trim().is_empty() => {
                Some((user.clone(), Zeroizing::new(password.trim_end_matches(['\r', '\n']).to_owned())))
            }
            _ => {
                fault("password_file", "it holds no password".to_owned(), "write the password into it, and nothing else");
                None
            }
        },
        (_, _) => None,
    };
    let protection = match section.tls {
        MailTls::Implicit => Protection::Implicit,
        MailTls::StartTls => Protection::StartTls,
        MailTls::None => Protection::None,
    };
    let mailer = roots.ok().map(|roots| {
        Mailer::new(MailSettings {
            host: section.server.host.clone(),
            port: section.server.port,
            protection,
            roots,
            credentials,
            from: section.from.clone(),
            listed: config.outbound.mail.clone(),
            secret,
        })
    });
    let mailer = mailer.transpose().unwrap_or_else(|unmailable| {
        let (key, fix) = match unmailable {
            Unmailable::Private => ("server", "list its exact HOST:PORT in [outbound] mail, if it is meant"),
            Unmailable::Plain => ("tls", "write starttls or implicit"),
            Unmailable::From => ("from", "write one address of printable ASCII"),
            Unmailable::Tls => ("ca_file", "name a PEM file with the roots of the mail server"),
        };
        fault(key, unmailable.to_string(), fix);
        None
    });
    let file = config.folder.join("mail.cursor");
    let progress = match size {
        Some(size) => mail::resume(&file, size),
        None => mail::look(&file).map(Option::unwrap_or_default),
    };
    let progress = progress.map_err(|error| {
        fault("server", format!("its cursor {} cannot be used: {error}", file.display()), "correct or remove the file");
    });
    match (mailer, progress) {
        (Some(mailer), Ok(progress)) if faults.is_empty() => Ok(Some(Mail {
            mailer,
            security: section.security.clone(),
            console: console.map(str::to_owned),
            file,
            progress: Mutex::new(progress),
            done: Mutex::default(),
        })),
        (_, _) => Err(StartFault::Configuration(faults)),
    }
}

/// The client by which staff sign in in a browser, if one is configured.
///
/// # Errors
/// Its secret cannot be read, or the issuer is not a URL.
pub(super) fn console(config: &Config, outbound: &Arc<Outbound>, origin: &str) -> Result<Option<Client>, StartFault> {
    let staff = &config.staff;
    let Some(id) = &staff.client_id else { return Ok(None) };
    let fault = |field: &str, what: String, fix: &str| Err(StartFault::Configuration(vec![at(field, what, fix)]));
    let secret = match &staff.client_secret_file {
        None => None,
        Some(file) => match std::fs::read_to_string(file).map(Zeroizing::new) {
            Ok(secret) if !secret.trim().is_empty() => Some(secret),
            _ => {
                return fault("staff.client_secret_file", "it holds no secret".to_owned(), "write the client's secret into it");
            }
        },
    };
    let way = Way::Broker(Arc::clone(outbound));
    match Client::new(staff.issuer.as_str(), id, &format!("{origin}/console/callback"), way) {
        Ok(client) => Ok(Some(client.with_secret(secret.as_deref().map(|secret| secret.trim())))),
        Err(cause) => fault("staff.issuer", cause.to_string(), "write the issuer as its discovery document spells it"),
    }
}
