//! TLS for outgoing connections: to issuers, to PostgreSQL and to our own sockets.
//!
//! Enter through [`outbound`]. The trust store has the system's bundle and the operator's own roots; environment variables are not
//! read. It speaks TLS 1.2 and 1.3 and verifies every certificate (ABUSE K-28). The crypto provider is passed, never installed.

use std::path::Path;
use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

use crate::outbound::{Outbound, OutboundSettings, Unbuildable};

/// The system's roots on Debian, Fedora and Alpine. The first file that exists counts.
const BUNDLES: [&str; 3] = ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"];

/// Makes the client for issuers, which trusts the system's roots and `extra_roots` (private CAs).
///
/// Without any root every https fetch fails, and the issuers are unhealthy; the broker starts all the same (ABUSE K-24).
pub fn outbound(settings: OutboundSettings, extra_roots: &[CertificateDer<'static>]) -> Result<Outbound, Unbuildable> {
    Outbound::new(settings, &trusting(extra_roots)?)
}

/// Makes the TLS of the command line's own calls, which trusts the system's roots.
pub fn client() -> Result<ClientConfig, Unbuildable> {
    trusting(&[])
}

/// Makes the TLS of an agent for the mTLS socket.
///
/// It trusts these roots (PEM) and no others, and presents the certificate with its key (one PEM), if it has one.
///
/// # Errors
/// There is no root, or the key is not its certificate's.
pub fn identified(roots: &[u8], identity: Option<&[u8]>) -> Result<ClientConfig, Unbuildable> {
    let mut store = RootCertStore::empty();
    for root in CertificateDer::pem_slice_iter(roots) {
        store.add(root.map_err(|_| Unbuildable)?).map_err(|_| Unbuildable)?;
    }
    if store.is_empty() {
        return Err(Unbuildable);
    }
    configuration(store, identity)
}

fn trusting(extra_roots: &[CertificateDer<'static>]) -> Result<ClientConfig, Unbuildable> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(system_roots());
    for root in extra_roots {
        roots.add(root.clone()).map_err(|_| Unbuildable)?;
    }
    configuration(roots, None)
}

/// Makes a configuration with these roots, and the certificate with its key (one PEM), if any.
fn configuration(roots: RootCertStore, identity: Option<&[u8]>) -> Result<ClientConfig, Unbuildable> {
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(|_| Unbuildable)?
        .with_root_certificates(roots);
    let mut tls = match identity {
        None => builder.with_no_client_auth(),
        Some(pem) => {
            let chain = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>().map_err(|_| Unbuildable)?;
            let key = PrivateKeyDer::from_pem_slice(pem).map_err(|_| Unbuildable)?;
            builder.with_client_auth_cert(chain, key).map_err(|_| Unbuildable)?
        }
    };
    tls.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(tls)
}

/// Makes the TLS of connections to PostgreSQL, which trusts the roots of `file` (PEM) alone, or the system's.
///
/// # Errors
/// The file cannot be read, or holds what is no certificate of an authority; or there is no root at all.
pub fn postgres(file: Option<&Path>) -> std::io::Result<ClientConfig> {
    // What PostgreSQL 17 and newer answer to, and nothing else: no server of another protocol takes the connection.
    to_a_store(file, vec![b"postgresql".to_vec()])
}

/// Makes the TLS to Redis, which trusts the roots of `file` (PEM) alone, or the system's.
///
/// # Errors
/// As [`postgres`].
pub fn redis(file: Option<&Path>) -> std::io::Result<ClientConfig> {
    to_a_store(file, Vec::new())
}

fn to_a_store(file: Option<&Path>, protocols: Vec<Vec<u8>>) -> std::io::Result<ClientConfig> {
    let mut store = RootCertStore::empty();
    store.add_parsable_certificates(roots(file)?.into_iter().map(CertificateDer::from));
    let invalid = || std::io::Error::from(std::io::ErrorKind::InvalidData);
    if store.is_empty() {
        return Err(invalid());
    }
    let mut tls = configuration(store, None).map_err(|_| invalid())?;
    tls.alpn_protocols = protocols;
    Ok(tls)
}

/// The roots of a mail server or a database as DER: those of `file` (PEM) alone, or the system's.
///
/// # Errors
/// The file cannot be read, or holds what is no certificate of an authority.
pub fn roots(file: Option<&Path>) -> std::io::Result<Vec<Vec<u8>>> {
    let mut store = RootCertStore::empty();
    let Some(file) = file else {
        let usable = system_roots().into_iter().filter(|root| store.add(root.clone()).is_ok());
        return Ok(usable.map(|root| root.to_vec()).collect());
    };
    let invalid = || std::io::Error::from(std::io::ErrorKind::InvalidData);
    let pem = std::fs::read(file)?;
    let roots = CertificateDer::pem_slice_iter(&pem).collect::<Result<Vec<_>, _>>().map_err(|_| invalid())?;
    if roots.is_empty() || roots.iter().any(|root| store.add(root.clone()).is_err()) {
        return Err(invalid());
    }
    Ok(roots.into_iter().map(|root| root.to_vec()).collect())
}

fn system_roots() -> Vec<CertificateDer<'static>> {
    let Some(bundle) = BUNDLES.iter().find_map(|path| std::fs::read(path).ok()) else { return Vec::new() };
    CertificateDer::pem_slice_iter(&bundle).filter_map(Result::ok).collect()
}
