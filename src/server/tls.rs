//! TLS of the public socket: certificate and key from PEM files, TLS 1.2 and 1.3 by aws-lc-rs.
//!
//! `mtls` has client certificates. There is no early data: a replayed request must not begin an exchange (RFC 8446 section 8).

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

/// The reason why TLS cannot be served. It never has a file's content.
#[derive(Debug, thiserror::Error)]
pub enum TlsFault {
    /// The certificate file is missing, unreadable or not PEM.
    #[error("cannot read certificates from {}", .0.display())]
    Certificate(PathBuf),
    /// The key file is missing, unreadable or not PEM.
    #[error("cannot read a private key from {}", .0.display())]
    Key(PathBuf),
    /// Certificate and key do not match, or rustls refuses them.
    #[error("certificate and key cannot be used: {0}")]
    Pair(#[from] rustls::Error),
}

/// Loads a server configuration from a certificate chain and its key, both in PEM.
///
/// # Errors
/// The file that is at fault.
pub fn load(certificate: &Path, key: &Path) -> Result<Arc<ServerConfig>, TlsFault> {
    let (chain, key) = read(certificate, key)?;
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config.max_early_data_size = 0;
    Ok(Arc::new(config))
}

/// Loads a certificate chain with its key, both in PEM, for a socket that chooses its certificate.
///
/// # Errors
/// The file that is at fault.
pub fn load_certified(certificate: &Path, key: &Path) -> Result<CertifiedKey, TlsFault> {
    let (chain, key) = read(certificate, key)?;
    Ok(CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider())?)
}

fn read(certificate: &Path, key: &Path) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), TlsFault> {
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect)
        .map_err(|_| TlsFault::Certificate(certificate.to_owned()))?;
    if chain.is_empty() {
        return Err(TlsFault::Certificate(certificate.to_owned()));
    }
    let key = PrivateKeyDer::from_pem_file(key).map_err(|_| TlsFault::Key(key.to_owned()))?;
    Ok((chain, key))
}
