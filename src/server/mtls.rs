//! TLS of the mTLS socket: it presents our own certificates and verifies those of peers.
//!
//! Enter through [`Mtls::new`]. A peer may come without a certificate (first enrolment). A certificate that no trusted
//! authority signed, or that is outside its validity, gets no connection. Everything else about a certificate, and if it
//! still counts, is decided above, at every request. So there is no session that could be resumed with yesterday's answer
//! (docs/security/stack.md#rustls: a resumed session skips the verifier), and no early data (ABUSE M-23).
//!
//! Authorities and our own certificates change while the socket is open; both are replaced as a whole ([`Mtls::trust`],
//! [`Mtls::present`]).

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::time_provider::TimeProvider;
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, RootCertStore, ServerConfig, SignatureScheme};
use zeroize::Zeroizing;

use crate::domain::credential::certificate::Der;
use crate::domain::value::clock::Clock;

/// The TLS side of the mTLS socket.
#[derive(Clone)]
pub struct Mtls {
    config: Arc<ServerConfig>,
    clients: Arc<Clients>,
    own: Arc<Own>,
    clock: Arc<ArcSwap<Arc<dyn Clock>>>,
}

/// Our own certificate for one host name.
pub struct Presented {
    /// The chain, leaf first, without the root.
    pub chain: Vec<Der>,
    /// The private key, as PKCS #8.
    pub key: Zeroizing<Vec<u8>>,
}

impl Mtls {
    /// Creates the TLS side, which trusts nobody and presents nothing yet.
    ///
    /// # Errors
    /// A fault of rustls: never, with its own provider.
    pub fn new(clock: Arc<dyn Clock>) -> Result<Self, Error> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let clients = Arc::new(Clients { provider: Arc::clone(&provider), current: ArcSwapOption::empty() });
        let own = Arc::new(Own { provider: Arc::clone(&provider), by_host: ArcSwap::default() });
        let clock = Arc::new(ArcSwap::from_pointee(clock));
        let mut config = ServerConfig::builder_with_details(provider, Arc::new(HouseTime(Arc::clone(&clock))))
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
            .with_client_cert_verifier(Arc::clone(&clients) as Arc<dyn ClientCertVerifier>)
            .with_cert_resolver(Arc::clone(&own) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        config.max_early_data_size = 0;
        config.send_tls13_tickets = 0;
        config.session_storage = Arc::new(NoServerSessionStorage {});
        Ok(Self { config: Arc::new(config), clients, own, clock })
    }

    /// Goes by another clock from now on.
    pub fn go_by(&self, clock: Arc<dyn Clock>) {
        self.clock.store(Arc::new(clock));
    }

    /// The configuration, for the listener.
    pub(super) fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.config)
    }

    /// Trusts exactly these authorities, root and issuing ones, from now on.
    ///
    /// # Errors
    /// A certificate that cannot be an anchor. The earlier ones stay.
    pub fn trust(&self, authorities: &[Der]) -> Result<(), Error> {
        if authorities.is_empty() {
            self.clients.current.store(None);
            return Ok(());
        }
        let mut anchors = RootCertStore::empty();
        for authority in authorities {
            anchors.add(CertificateDer::from(authority.0.clone()))?;
        }
        let provider = Arc::clone(&self.clients.provider);
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(anchors), provider).build();
        let verifier = verifier.map_err(|fault| Error::General(fault.to_string()))?;
        self.clients.current.store(Some(Arc::new(verifier)));
        Ok(())
    }

    /// Presents these certificates from now on, each to a client that names its host.
    ///
    /// The first one is also for every other client.
    ///
    /// # Errors
    /// A key that is not its certificate's.
    pub fn present<'a>(&self, certificates: impl Iterator<Item = &'a (String, Presented)>) -> Result<(), Error> {
        let mut own = Certified::default();
        for (host, presented) in certificates {
            let chain = presented.chain.iter().map(|der| CertificateDer::from(der.0.clone())).collect();
            let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(presented.key.as_slice())).clone_key();
            let certified = Arc::new(CertifiedKey::from_der(chain, key, &self.own.provider)?);
            own.default.get_or_insert_with(|| Arc::clone(&certified));
            own.by_host.entry(host.clone()).or_insert(certified);
        }
        self.own.by_host.store(Arc::new(own));
        Ok(())
    }

    /// Presents the operator's own certificate from now on.
    pub fn present_file(&self, certified: CertifiedKey) {
        let own = Certified { by_host: BTreeMap::new(), default: Some(Arc::new(certified)) };
        self.own.by_host.store(Arc::new(own));
    }
}

/// Verifies client certificates against the authorities as they are now.
struct Clients {
    provider: Arc<CryptoProvider>,
    current: ArcSwapOption<Arc<dyn ClientCertVerifier>>,
}

impl ClientCertVerifier for Clients {
    fn client_auth_mandatory(&self) -> bool {
        // A first enrolment comes without a certificate; the routes say which need one.
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        // The authorities change, and a client with several certificates knows which one is ours.
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let current = self.current.load_full().ok_or(Error::InvalidCertificate(CertificateError::UnknownIssuer))?;
        current.verify_client_cert(end_entity, intermediates, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// The certificates that we present.
struct Own {
    provider: Arc<CryptoProvider>,
    by_host: ArcSwap<Certified>,
}

#[derive(Default)]
struct Certified {
    by_host: BTreeMap<String, Arc<CertifiedKey>>,
    default: Option<Arc<CertifiedKey>>,
}

impl ResolvesServerCert for Own {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let own = self.by_host.load();
        let named = hello.server_name().and_then(|host| own.by_host.get(host));
        named.or(own.default.as_ref()).cloned()
    }
}

/// The process's clock, so that the handshake and the later checks judge validity by the same time.
struct HouseTime(Arc<ArcSwap<Arc<dyn Clock>>>);

impl TimeProvider for HouseTime {
    fn current_time(&self) -> Option<UnixTime> {
        let seconds = u64::try_from(self.0.load().now().as_seconds()).ok()?;
        Some(UnixTime::since_unix_epoch(Duration::from_secs(seconds)))
    }
}

impl fmt::Debug for HouseTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HouseTime")
    }
}

impl fmt::Debug for Clients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clients")
    }
}

impl fmt::Debug for Own {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Own")
    }
}
