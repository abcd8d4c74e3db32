//! TLS to a server whose certificate is verified, name included (`sslmode=verify-full`).
//!
//! It is rustls with aws-lc-rs, as everywhere; the roots come with the address. The password exchange is bound to the certificate
//! (SCRAM-SHA-256-PLUS, RFC 5929 section 4): a server between us and the database that has a certificate of its own cannot pass it on.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use aws_lc_rs::digest::{self, SHA256, SHA384, SHA512};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::Socket;
use tokio_postgres::tls::{ChannelBinding, MakeTlsConnect, TlsConnect, TlsStream};
use tokio_rustls::TlsConnector;
use x509_parser::oid_registry::{
    OID_NIST_HASH_SHA256, OID_NIST_HASH_SHA384, OID_NIST_HASH_SHA512, OID_PKCS1_RSASSAPSS, OID_PKCS1_SHA256WITHRSA,
    OID_PKCS1_SHA384WITHRSA, OID_PKCS1_SHA512WITHRSA, OID_SIG_ECDSA_WITH_SHA256, OID_SIG_ECDSA_WITH_SHA384,
    OID_SIG_ECDSA_WITH_SHA512, Oid,
};
use x509_parser::prelude::{FromDer as _, X509Certificate};
use x509_parser::signature_algorithm::RsaSsaPssParams;

/// TLS by these roots, for any host.
#[derive(Clone)]
pub struct VerifyFull(TlsConnector);

/// TLS to one host.
pub struct ToHost {
    connector: TlsConnector,
    name: ServerName<'static>,
}

/// A connection in TLS.
pub struct Encrypted(tokio_rustls::client::TlsStream<Socket>);

impl VerifyFull {
    /// By a configuration that verifies certificates.
    pub fn by(tls: Arc<ClientConfig>) -> Self {
        Self(TlsConnector::from(tls))
    }
}

impl MakeTlsConnect<Socket> for VerifyFull {
    type Stream = Encrypted;
    type TlsConnect = ToHost;
    type Error = io::Error;

    fn make_tls_connect(&mut self, host: &str) -> Result<ToHost, io::Error> {
        let name = ServerName::try_from(host.to_owned()).map_err(|fault| io::Error::new(io::ErrorKind::InvalidInput, fault))?;
        Ok(ToHost { connector: self.0.clone(), name })
    }
}

impl TlsConnect<Socket> for ToHost {
    type Stream = Encrypted;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Encrypted, io::Error>> + Send>>;

    fn connect(self, socket: Socket) -> Self::Future {
        Box::pin(async move { Ok(Encrypted(self.connector.connect(self.name, socket).await?)) })
    }
}

impl TlsStream for Encrypted {
    fn channel_binding(&self) -> ChannelBinding {
        let certificate = self.0.get_ref().1.peer_certificates().and_then(|chain| chain.first());
        certificate
            .and_then(|certificate| end_point(certificate))
            .map_or_else(ChannelBinding::none, ChannelBinding::tls_server_end_point)
    }
}

/// The digest of the server's certificate by the hash of its signature (RFC 5929 section 4.1); none where its signature has no such hash.
fn end_point(der: &[u8]) -> Option<Vec<u8>> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    let algorithm = &certificate.signature_algorithm;
    let hash = if algorithm.algorithm == OID_PKCS1_RSASSAPSS {
        let parameters = algorithm.parameters.as_ref()?;
        hash(RsaSsaPssParams::try_from(parameters).ok()?.hash_algorithm_oid())?
    } else {
        hash(&algorithm.algorithm)?
    };
    Some(digest::digest(hash, der).as_ref().to_vec())
}

/// The hash of a signature algorithm, or that a name of a hash means. Signatures by weaker ones are refused before.
fn hash(named: &Oid<'_>) -> Option<&'static digest::Algorithm> {
    let known = [
        (&SHA256, [OID_PKCS1_SHA256WITHRSA, OID_SIG_ECDSA_WITH_SHA256, OID_NIST_HASH_SHA256]),
        (&SHA384, [OID_PKCS1_SHA384WITHRSA, OID_SIG_ECDSA_WITH_SHA384, OID_NIST_HASH_SHA384]),
        (&SHA512, [OID_PKCS1_SHA512WITHRSA, OID_SIG_ECDSA_WITH_SHA512, OID_NIST_HASH_SHA512]),
    ];
    known.into_iter().find_map(|(hash, names)| names.contains(named).then_some(hash))
}

impl AsyncRead for Encrypted {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, into)
    }
}

impl AsyncWrite for Encrypted {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}
