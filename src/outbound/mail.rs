//! Sends mail: one plain text to one address, by the company's own mail server (SMTP, RFC 5321).
//!
//! Enter through [`Mailer::new`] and [`Mailer::send`]. The operator names the server; a private address needs its exact `HOST:PORT` in
//! `[outbound] mail`. Beyond the loopback a connection is TLS from its first byte, or by STARTTLS, and nothing is sent without it: a
//! server that does not offer STARTTLS gets no mail and no password.
//!
//! A return means that the server took the mail. A fault has no text that the server sent. The caller decides when to try again.
//!
//! Attack: a line end in a header value would begin another header, or another mail. Addresses are parsed and of ASCII, and whatever else goes
//! into a header or the text passes [`plain`].

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use lettre::address::Envelope;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, CertificateStore, Tls, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::{Address, AsyncSmtpTransport, AsyncTransport as _, Tokio1Executor};
use zeroize::Zeroizing;

use super::address::is_public;

/// The longest that a server may take for one mail, with name, connection, TLS and all answers.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// The longest that a connection may take.
const CONNECT: Duration = Duration::from_secs(5);

/// The longest value of a header that is not an address: a line has at most 998 characters (RFC 5322 section 2.1.1).
const LONGEST_VALUE: usize = 200;

/// The longest address (RFC 5321 section 4.5.3.1.3).
const LONGEST_ADDRESS: usize = 254;

/// How a connection is protected.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Protection {
    /// TLS from the first byte (RFC 8314 section 3).
    Implicit,
    /// TLS after STARTTLS, or nothing is sent (RFC 3207).
    StartTls,
    /// None; to the loopback only.
    None,
}

/// A mail server, and how it takes our mail.
pub struct MailSettings {
    /// Its name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How a connection to it is protected.
    pub protection: Protection,
    /// The roots that its certificate is judged by, as DER.
    pub roots: Vec<Vec<u8>>,
    /// Our user and password there.
    pub credentials: Option<(String, Zeroizing<String>)>,
    /// The address that mail comes from.
    pub from: String,
    /// `[outbound] mail`: servers that may be private, as `HOST:PORT`.
    pub listed: Vec<String>,
    /// The secret by which recipients are known.
    pub secret: Zeroizing<[u8; 32]>,
}

/// The reason why there can be no mail.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Unmailable {
    /// A private or special address that nobody listed.
    #[error("the host is a private or special address; the operator may list its exact HOST:PORT in [outbound] mail")]
    Private,
    /// Mail in plain text beyond the loopback.
    #[error("mail in plain text goes to the loopback only: 127.0.0.1, [::1] or localhost")]
    Plain,
    /// The sender is no address.
    #[error("it is no mail address of printable ASCII")]
    From,
    /// The TLS configuration cannot be built.
    #[error("there is no root that a certificate could be judged by")]
    Tls,
}

/// The reason why a mail was not taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum MailFault {
    /// The recipient is no address.
    #[error("the recipient has no mail address of printable ASCII")]
    Recipient,
    /// No connection: name, address, TCP or TLS.
    #[error("no connection could be made (name, address, TCP or TLS)")]
    Connect,
    /// The server took too long.
    #[error("no complete answer within 30 seconds")]
    Timeout,
    /// The server answered with an error.
    #[error("the server refuses with status {0}")]
    Refused(u16),
    /// The connection broke, or the server does not speak SMTP, or has no TLS or sign-in for us.
    #[error("the server broke off, or does not offer what is asked for (STARTTLS, AUTH)")]
    Broken,
}

impl MailFault {
    /// True if the server itself is the trouble, so that another recipient would fare no better.
    pub fn is_of_server(self) -> bool {
        match self {
            Self::Connect | Self::Timeout | Self::Broken => true,
            Self::Recipient | Self::Refused(_) => false,
        }
    }
}

/// A mail to send. Its texts are of ours.
#[derive(Clone, Debug)]
pub struct Letter {
    /// What it is about.
    pub subject: String,
    /// Its text, in lines.
    pub text: String,
    /// The same at every try, so that a receiver recognises a repetition.
    pub id: String,
    /// Its date (RFC 5322).
    pub date: String,
}

/// The client of one mail server. It has no printable form.
pub struct Mailer {
    host: String,
    port: u16,
    is_listed: bool,
    tls: Tls,
    credentials: Option<Credentials>,
    from: Address,
    secret: hmac::Key,
}

impl fmt::Debug for Mailer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Mailer")
    }
}

impl Mailer {
    /// Makes a client, and refuses a server that the rules forbid.
    ///
    /// # Errors
    /// The rule, or a setting that cannot be used.
    pub fn new(settings: MailSettings) -> Result<Self, Unmailable> {
        let MailSettings { host, port, protection, roots, credentials, from, listed, secret } = settings;
        let literal = bare(&host).parse::<IpAddr>().ok();
        let is_listed = listed.contains(&format!("{host}:{port}"));
        if !is_listed && (literal.is_some_and(|ip| !is_public(ip)) || host == "localhost") {
            return Err(Unmailable::Private);
        }
        let is_loopback = host == "localhost" || literal.is_some_and(|ip| ip.is_loopback());
        let tls = match protection {
            Protection::None if !is_loopback => return Err(Unmailable::Plain),
            Protection::None => Tls::None,
            Protection::Implicit => Tls::Wrapper(tls(bare(&host), roots)?),
            Protection::StartTls => Tls::Required(tls(bare(&host), roots)?),
        };
        Ok(Self {
            is_listed,
            tls,
            credentials: credentials.map(|(user, password)| Credentials::new(user, password.to_string())),
            from: address(&from).ok_or(Unmailable::From)?,
            secret: hmac::Key::new(hmac::HMAC_SHA256, &*secret),
            host,
            port,
        })
    }

    /// The name under which a recipient is kept: it tells nobody the address.
    pub fn name_of(&self, to: &str) -> String {
        let tag = hmac::sign(&self.secret, to.to_ascii_lowercase().as_bytes());
        URL_SAFE_NO_PAD.encode(tag.as_ref().get(..16).unwrap_or_default())
    }

    /// Sends a mail once.
    ///
    /// # Errors
    /// The server did not take it, as far as we know.
    pub async fn send(&self, to: &str, letter: &Letter) -> Result<(), MailFault> {
        let to = address(to).ok_or(MailFault::Recipient)?;
        let bytes = self.written(&to, letter);
        let envelope = Envelope::new(Some(self.from.clone()), vec![to]).map_err(|_| MailFault::Recipient)?;
        tokio::time::timeout(PATIENCE, self.deliver(&envelope, &bytes)).await.map_err(|_| MailFault::Timeout)?
    }

    async fn deliver(&self, envelope: &Envelope, bytes: &[u8]) -> Result<(), MailFault> {
        let found = tokio::net::lookup_host((bare(&self.host), self.port)).await.map_err(|_| MailFault::Connect)?;
        let found: Vec<SocketAddr> = found.collect();
        // As for every other outgoing call: a name with an address inside is an attempt to have us connect to it (K-11).
        if found.is_empty() || (!self.is_listed && !found.iter().all(|address| is_public(address.ip()))) {
            return Err(MailFault::Connect);
        }
        let mut last = MailFault::Connect;
        for address in found {
            // The address that was judged is the one that is connected to; TLS asks for the name.
            let mut client = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(address.ip().to_string())
                .port(self.port)
                .timeout(Some(CONNECT))
                .tls(self.tls.clone())
                .hello_name(ClientId::Domain(self.from.domain().to_owned()));
            if let Some(credentials) = &self.credentials {
                client = client.credentials(credentials.clone());
            }
            match client.build().send_raw(envelope, bytes).await {
                Ok(_) => return Ok(()),
                Err(error) => last = fault(&error),
            }
            if last != MailFault::Connect {
                return Err(last);
            }
        }
        Err(last)
    }

    /// The mail in its form on the wire (RFC 5322). Every line is of printable ASCII.
    fn written(&self, to: &Address, letter: &Letter) -> Vec<u8> {
        let mut mail = String::new();
        let domain = self.from.domain();
        for (name, value) in [
            ("From", format!("Carnet <{}>", self.from)),
            ("To", to.to_string()),
            ("Subject", cut(&letter.subject)),
            ("Date", cut(&letter.date)),
            ("Message-ID", format!("<{}@{domain}>", cut(&letter.id))),
            ("MIME-Version", "1.0".to_owned()),
            ("Content-Type", "text/plain; charset=us-ascii".to_owned()),
            ("Content-Transfer-Encoding", "7bit".to_owned()),
            // No answer of a machine to a mail of a machine (RFC 3834 section 5).
            ("Auto-Submitted", "auto-generated".to_owned()),
        ] {
            mail += &format!("{name}: {}\r\n", plain(&value));
        }
        mail += "\r\n";
        for line in letter.text.lines() {
            mail += &plain(line);
            mail += "\r\n";
        }
        mail.into_bytes()
    }
}

/// A line of printable ASCII: any other character, a line end above all, is a question mark.
fn plain(text: &str) -> String {
    text.chars().map(|c| if (' '..='~').contains(&c) { c } else { '?' }).collect()
}

fn cut(text: &str) -> String {
    text.chars().take(LONGEST_VALUE).collect()
}

/// An address of printable ASCII.
fn address(text: &str) -> Option<Address> {
    let fits = text.len() <= LONGEST_ADDRESS && text.bytes().all(|byte| byte.is_ascii_graphic());
    // Quoted and bracketed forms are allowed to hold what would end an address elsewhere.
    let simple = !text.contains(['"', '<', '>', '(', ')', ',', ';', ':', '\\', '[', ']']);
    text.parse().ok().filter(|_| fits && simple)
}

/// Whether a text is an address that mail can be sent to.
pub fn is_address(text: &str) -> bool {
    address(text).is_some()
}

/// A host without the brackets of an IPv6 address.
fn bare(host: &str) -> &str {
    host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host)
}

/// TLS of 1.2 and 1.3 that trusts these roots and no others.
fn tls(host: &str, roots: Vec<Vec<u8>>) -> Result<TlsParameters, Unmailable> {
    if roots.is_empty() {
        return Err(Unmailable::Tls);
    }
    let mut builder = TlsParameters::builder(host.to_owned()).certificate_store(CertificateStore::None);
    for root in roots {
        builder = builder.add_root_certificate(Certificate::from_der(root).map_err(|_| Unmailable::Tls)?);
    }
    builder.build_rustls().map_err(|_| Unmailable::Tls)
}

fn fault(error: &lettre::transport::smtp::Error) -> MailFault {
    if let Some(status) = error.status() {
        return MailFault::Refused(u16::from(status));
    }
    if error.is_timeout() {
        MailFault::Timeout
    } else if error.is_response() || error.is_client() {
        MailFault::Broken
    } else {
        // Connection, network and TLS.
        MailFault::Connect
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(host: &str, protection: Protection, listed: &[&str]) -> MailSettings {
        MailSettings {
            host: host.to_owned(),
            port: 25,
            protection,
            roots: Vec::new(),
            credentials: None,
            from: "carnet@acme.example".to_owned(),
            listed: listed.iter().map(|one| (*one).to_owned()).collect(),
            secret: Zeroizing::new([7; 32]),
        }
    }

    #[test]
    fn k_03_mail_goes_in_plain_text_to_a_listed_loopback_alone() {
        let made = |host, protection, listed: &[&str]| Mailer::new(settings(host, protection, listed)).map(drop);
        assert_eq!(made("127.0.0.1", Protection::None, &["127.0.0.1:25"]), Ok(()));
        assert_eq!(made("[::1]", Protection::None, &["[::1]:25"]), Ok(()));
        assert_eq!(made("localhost", Protection::None, &["localhost:25"]), Ok(()));
        for host in ["127.0.0.1", "localhost", "10.0.0.1", "[::1]", "169.254.169.254"] {
            assert_eq!(made(host, Protection::None, &[]), Err(Unmailable::Private), "{host}");
            assert_eq!(
                made(host, Protection::None, &["127.0.0.1:26", "mail.acme.example:25"]),
                Err(Unmailable::Private),
                "{host}"
            );
        }
        for (host, listed) in [("mail.acme.example", "mail.acme.example:25"), ("10.0.0.1", "10.0.0.1:25"), ("8.8.8.8", "")] {
            assert_eq!(made(host, Protection::None, &[listed]), Err(Unmailable::Plain), "{host}");
        }
        for protection in [Protection::Implicit, Protection::StartTls] {
            assert_eq!(made("mail.acme.example", protection, &[]), Err(Unmailable::Tls), "no root, no TLS");
        }
    }

    /// Attack: a record, a directory or a name ends a header and begins another one.
    #[test]
    fn no_value_begins_another_header_or_another_mail() {
        let mailer = Mailer::new(settings("127.0.0.1", Protection::None, &["127.0.0.1:25"])).expect("a mailer");
        let hostile = "a\r\nBcc: mallory@evil.example\r\n\r\n.\r\nMAIL FROM:<x>\u{2028}\u{0}";
        let letter = Letter { subject: hostile.into(), text: hostile.into(), id: hostile.into(), date: hostile.into() };
        let to = address("jane@acme.example").expect("an address");
        let mail = String::from_utf8(mailer.written(&to, &letter)).expect("text");
        let (head, text) = mail.split_once("\r\n\r\n").expect("a head and a text");
        let names: Vec<&str> = head.split("\r\n").map(|line| line.split(": ").next().expect("a name")).collect();
        let wanted = [
            "From",
            "To",
            "Subject",
            "Date",
            "Message-ID",
            "MIME-Version",
            "Content-Type",
            "Content-Transfer-Encoding",
            "Auto-Submitted",
        ];
        assert_eq!(names, wanted);
        assert!(mail.bytes().all(|byte| matches!(byte, b' '..=b'~' | b'\r' | b'\n')));
        assert_eq!(mail.matches('\n').count(), mail.matches("\r\n").count());
        // In the text its lines are lines.
        assert!(text.starts_with("a\r\nBcc: mallory"), "{text}");
    }

    #[test]
    fn an_address_is_one_address_of_printable_ascii() {
        for good in ["jane@acme.example", "j.d+carnet@mail.acme.example", "JANE@ACME.example"] {
            assert!(is_address(good), "{good}");
        }
        let long = format!("{}@acme.example", "a".repeat(250));
        for bad in [
            "",
            "jane",
            "team:orders",
            "jane@acme.example\r\nBcc: x@y.example",
            "jane@acme.example ",
            "jane @acme.example",
            "\"a\r\n\"@acme.example",
            "\"a b\"@acme.example",
            "a@b@c.example",
            "Jane <jane@acme.example>",
            "jane@acme.example,raj@acme.example",
            "j\u{e4}ne@acme.example",
            "jane@b\u{fc}cher.example",
            "jane@[127.0.0.1]",
            &long,
        ] {
            assert!(!is_address(bad), "{bad:?}");
        }
    }

    #[test]
    fn a_recipient_is_known_by_a_name_that_is_no_address() {
        let mailer = Mailer::new(settings("127.0.0.1", Protection::None, &["127.0.0.1:25"])).expect("a mailer");
        let name = mailer.name_of("jane@acme.example");
        assert_eq!(name, mailer.name_of("Jane@Acme.example"), "one mailbox");
        assert!(name != mailer.name_of("raj@acme.example") && name.len() == 22 && !name.contains('@'), "{name}");
        assert_eq!(format!("{mailer:?}"), "Mailer");
    }
}
