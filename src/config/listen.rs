//! `[listen]`: sockets, our public names, and the limits of a peer.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use super::fault::Faults;
use super::section::{Located, Section};
use super::url::{self, Origin};
use crate::domain::value::network::Cidr;

/// `[listen]`. Every field has a default.
#[derive(Clone, Debug)]
pub struct ListenSection {
    /// The address for workloads and APIs.
    pub public: SocketAddr,
    /// The address for staff, with the console.
    pub admin: SocketAddr,
    /// The address for workloads with client certificates.
    pub mtls: SocketAddr,
    /// The certificate of the public socket; if absent, a proxy ends TLS.
    pub public_tls: Option<TlsFiles>,
    /// The certificate of the mTLS socket; if absent, one of the environment's CA.
    pub mtls_tls: Option<TlsFiles>,
    /// The URL of the mTLS socket in the metadata.
    pub mtls_url: Option<Origin>,
    /// The URL at which staff reach the admin socket; if absent, `http://localhost:PORT`.
    pub admin_url: Option<Origin>,
    /// Proxies that may set `Forwarded` and `Client-Cert`.
    pub trusted_proxies: Vec<Cidr>,
    /// Proxies that may ask `I/verify` without a proof of the API's `callers`.
    pub verify_callers: Vec<Cidr>,
    /// The most connections of one address to one socket.
    pub connections_per_address: usize,
    /// The longest body of a request to the public or the mTLS socket, in bytes.
    pub body_limit: usize,
}

/// A certificate chain and its key, both PEM: the paths, never the contents.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TlsFiles {
    /// The chain, leaf first.
    pub cert: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

impl Default for ListenSection {
    fn default() -> Self {
        let loopback = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        Self {
            public: loopback(7400),
            admin: loopback(7401),
            mtls: loopback(7443),
            public_tls: None,
            mtls_tls: None,
            mtls_url: None,
            admin_url: None,
            trusted_proxies: Vec::new(),
            verify_callers: Vec::new(),
            connections_per_address: 256,
            body_limit: 16 * 1024,
        }
    }
}

pub(super) fn read(section: Option<Section<'_>>, folder: &Path, faults: &mut Faults<'_>) -> ListenSection {
    let mut listen = ListenSection::default();
    let Some(mut section) = section else { return listen };
    listen.public = section.address("public", faults).unwrap_or(listen.public);
    listen.admin = section.address("admin", faults).unwrap_or(listen.admin);
    listen.mtls = section.address("mtls", faults).unwrap_or(listen.mtls);
    listen.public_tls = section.section("public_tls", faults).and_then(|tls| tls_files(tls, folder, faults));
    listen.mtls_tls = section.section("mtls_tls", faults).and_then(|tls| tls_files(tls, folder, faults));
    listen.mtls_url = own_origin(&mut section, "mtls_url", faults);
    listen.admin_url = own_origin(&mut section, "admin_url", faults);
    listen.trusted_proxies = networks(&mut section, "trusted_proxies", faults);
    listen.verify_callers = networks(&mut section, "verify_callers", faults);
    let most = section.number("connections_per_address", (1, 65_535), faults);
    listen.connections_per_address = most.unwrap_or(listen.connections_per_address);
    let limit = section.text("body_limit", faults);
    let limit =
        limit.and_then(|limit| limit.parse(faults, |text| size(text), "write a size from 4KiB to 256KiB, such as 16KiB"));
    listen.body_limit = limit.unwrap_or(listen.body_limit);
    check_apart(&listen, section.at(), faults);
    section.finish(faults);
    listen
}

fn networks(section: &mut Section<'_>, key: &'static str, faults: &mut Faults<'_>) -> Vec<Cidr> {
    let texts = section.texts(key, faults);
    let mut read = |text: Located<String>| {
        text.parse(faults, |text| text.parse::<Cidr>().map_err(str::to_owned), "write networks such as 10.0.0.0/8")
    };
    texts.into_iter().filter_map(&mut read).collect()
}

fn own_origin(section: &mut Section<'_>, key: &'static str, faults: &mut Faults<'_>) -> Option<Origin> {
    let fix = "write https://HOST, or http:// on a loopback host, without a path";
    section.text(key, faults)?.parse(faults, |text| url::own_origin(text), fix)
}

pub(super) fn tls_files(mut section: Section<'_>, folder: &Path, faults: &mut Faults<'_>) -> Option<TlsFiles> {
    let fix = "write {cert = \"chain.pem\", key = \"key.pem\"}, relative to this file's folder";
    for key in ["cert", "key"] {
        if !section.keys().iter().any(|(name, _)| name == key) {
            faults.add(section.at(), format!("its {key} is missing"), fix);
        }
    }
    let cert = section.file("cert", folder, fix, faults);
    let key = section.file("key", folder, fix, faults);
    section.finish(faults);
    Some(TlsFiles { cert: cert?, key: key? })
}

/// Refuses one address for two sockets.
///
/// The kernel would refuse the second one too, without naming a field.
fn check_apart(listen: &ListenSection, at: (&str, Option<usize>), faults: &mut Faults<'_>) {
    let sockets = [("public", listen.public), ("admin", listen.admin), ("mtls", listen.mtls)];
    for (number, (one, address)) in sockets.iter().enumerate() {
        for (other, same) in sockets.iter().skip(number + 1) {
            if address == same && address.port() != 0 {
                faults.add(at, format!("{one} and {other} have the same address"), "give each its own port");
            }
        }
    }
}

/// The most that is read of a stranger's request, in bytes (ABUSE I-21).
///
/// At these endpoints the body has the proof.
const LARGEST_BODY: usize = 256 * 1024;

/// Parses `16KiB`, `1MiB` or a number of bytes.
fn size(text: &str) -> Result<usize, String> {
    let (digits, unit) = match (text.strip_suffix("KiB"), text.strip_suffix("MiB")) {
        (Some(digits), _) => (digits, 1024),
        (_, Some(digits)) => (digits, 1024 * 1024),
        _ => (text, 1),
    };
    let is_number = !digits.is_empty() && digits.len() <= 9 && digits.bytes().all(|b| b.is_ascii_digit());
    let size = if is_number { digits.parse::<usize>().ok() } else { None };
    let size = size.and_then(|size| size.checked_mul(unit)).ok_or("this is not a size")?;
    if (4096..=LARGEST_BODY).contains(&size) { Ok(size) } else { Err("the size is out of bounds".to_owned()) }
}
