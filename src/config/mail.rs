//! `[mail]`: the company's mail server, by which people are told.

use std::net::Ipv6Addr;
use std::path::{Path, PathBuf};

use super::fault::Faults;
use super::section::Section;

/// `[mail]`.
#[derive(Clone, Debug)]
pub struct MailSection {
    /// The mail server: `HOST:PORT`.
    pub server: MailServer,
    /// The protection of a connection to it: `starttls`, `implicit`, or `none` to the loopback.
    pub tls: MailTls,
    /// The path of a file with the roots (PEM) that its certificate is judged by, in place of the system's.
    pub ca_file: Option<PathBuf>,
    /// The address that mail comes from.
    pub from: String,
    /// Our user at the mail server.
    pub username: Option<String>,
    /// The path of the file with the password of that user.
    pub password_file: Option<PathBuf>,
    /// The addresses of security.
    pub security: Vec<String>,
}

/// A mail server by host and port.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct MailServer {
    /// A name, or an address; one of IPv6 in brackets.
    pub host: String,
    /// The port.
    pub port: u16,
}

/// How a connection to the mail server is protected.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum MailTls {
    /// TLS from the first byte.
    Implicit,
    /// TLS by STARTTLS, which is required.
    #[default]
    StartTls,
    /// No TLS.
    None,
}

const SERVER_FIX: &str = "write server = \"HOST:PORT\", such as mail.acme.example:587";
const TLS_FIX: &str = "write starttls, implicit, or none for a server on the loopback";
const ADDRESS_FIX: &str = "write one address of printable ASCII, such as carnet@acme.example";
const SECURITY_FIX: &str = "list where security reads its mail, such as security = [\"secops@acme.example\"]";
const PASSWORD_FIX: &str = "write username and password_file, or neither";
const CA_FIX: &str = "name a PEM file with the roots of the mail server";

pub(super) fn read(section: Option<Section<'_>>, folder: &Path, faults: &mut Faults<'_>) -> Option<MailSection> {
    let mut section = section?;
    let server = section.required("server", SERVER_FIX, faults);
    let server = server.and_then(|server| server.parse(faults, |text| mail_server(text), SERVER_FIX));
    let tls = match section.text("tls", faults) {
        None => Some(MailTls::default()),
        Some(word) => word.parse(faults, |word| protection(word), TLS_FIX),
    };
    let ca_file = section.file("ca_file", folder, CA_FIX, faults);
    let from = section.required("from", ADDRESS_FIX, faults);
    let from = from.and_then(|from| from.parse(faults, |text| address(text), ADDRESS_FIX));
    let username = section.text("username", faults).map(|name| name.value);
    let password_file = section.file("password_file", folder, "name a file with the password alone, mode 0600", faults);
    if username.is_some() != password_file.is_some() {
        faults.add(("mail.username", section.at().1), "a user and a password belong together", PASSWORD_FIX);
    }
    let security = section.texts("security", faults);
    let security: Vec<String> =
        security.iter().filter_map(|one| one.parse(faults, |text| address(text), SECURITY_FIX)).collect();
    if security.is_empty() {
        let field = format!("{}.security", section.at().0);
        faults.add((&field, section.at().1), "security would be told nothing", SECURITY_FIX);
    }
    section.finish(faults);
    Some(MailSection { server: server?, tls: tls?, ca_file, from: from?, username, password_file, security })
}

/// Parses `HOST:PORT` in its one spelling.
pub(super) fn mail_server(text: &str) -> Result<MailServer, String> {
    let fault = || "this is not HOST:PORT".to_owned();
    let (host, port) = text.rsplit_once(':').ok_or_else(fault)?;
    let number: u16 = port.parse().map_err(|_| fault())?;
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'.' | b'-');
    let is_name = !host.is_empty() && host.len() <= 253 && host.bytes().all(is_plain);
    let literal = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let is_v6 = literal.is_some_and(|literal| literal.parse::<Ipv6Addr>().is_ok_and(|ip| ip.to_string() == literal));
    let is_port = number != 0 && number.to_string() == port;
    if (is_name || is_v6) && is_port { Ok(MailServer { host: host.to_owned(), port: number }) } else { Err(fault()) }
}

fn protection(word: &str) -> Result<MailTls, String> {
    match word {
        "implicit" => Ok(MailTls::Implicit),
        "starttls" => Ok(MailTls::StartTls),
        "none" => Ok(MailTls::None),
        _ => Err("there is no such protection".to_owned()),
    }
}

fn address(text: &str) -> Result<String, String> {
    if crate::outbound::mail::is_address(text) { Ok(text.to_owned()) } else { Err("this is no mail address".to_owned()) }
}
