//! A new mTLS connection for every exchange: handshake with a client certificate, one token by it, and the end of the connection.
//!
//! The floor is what no software passes: the server's half of the same handshake by rustls in memory (TLS 1.3, both certificates by
//! P-256, the key exchange that both sides prefer), and one ES256 signature.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::bench::{clock, floor};
use crate::server::Server;
use crate::tool::Machine;
use crate::world::{Options, World, client, records};

const CONNECTIONS: usize = 16;
const HANDSHAKES: usize = 300;
const FORM: &str = "grant_type=client_credentials&client_id=globex%2Forder-sync&audience=orders-api&scope=orders%3Aread";

/// Measures `time` of it and prints what it costs.
pub async fn new_connections(time: Duration) {
    let mut world = World::with(Options { redis: true, ..Options::default() }).await;
    let busy = records::busy(&world.partner.issuer);
    let known = "    scopes:\n      orders-api:\n";
    let binding = "      - {name: data-centre, mtls: {}}\n";
    assert_eq!(busy.matches(known).count(), 1);
    world.onboard(&busy.replacen(known, &format!("{binding}{known}"), 1)).await;
    world.clock.synchronise();
    let machine = enrolled(&world).await;
    let identity = machine.read("one.pem") + &machine.read("one.key");
    let roots = machine.read("ca.pem");
    world.stop().await;
    let address = SocketAddr::from(([127, 0, 0, 1], client::free_port()));
    let file = world.folder.path().join("carnet.toml");
    let text = std::fs::read_to_string(&file).expect("a configuration");
    std::fs::write(&file, text.replace("mtls = \"127.0.0.1:0\"", &format!("mtls = \"{address}\""))).expect("written");
    let server = Server::start(&world).await;
    let tls = Arc::new(carnet::authn::tls::identified(roots.as_bytes(), Some(identity.as_bytes())).expect("an identity"));

    // Short, and thrown away.
    run(address, &tls, Duration::from_secs(1)).await;
    let before = handshake(&tls, &identity);
    let (user, kernel) = clock::user_and_system(server.pid());
    let (answered, failed) = run(address, &tls, time).await;
    let (user_after, kernel_after) = clock::user_and_system(server.pid());
    let (handshake, sign) = ((before + handshake(&tls, &identity)) / 2.0, signature());
    let cpu = (user_after - user + kernel_after - kernel) / answered as f64;
    println!(
        "\nnew mTLS connection and exchange, {CONNECTIONS} at once: {answered} of them, {failed} not answered with a token"
    );
    println!("  server CPU {cpu:.0} us, of these in the kernel {:.0} us", (kernel_after - kernel) / answered as f64);
    println!("  per second and core {:.0}", 1e6 / cpu);
    println!("  the server's half of a handshake {handshake:.0} us, one signature {sign:.0} us");
    println!("  share of the limit {:.2}", (handshake + sign) / cpu);
}

/// A machine with a certificate for production, by a real enrolment.
pub async fn enrolled(world: &World) -> Machine {
    let machine = Machine::new(world).await;
    let body = json!({"integration": "globex/order-sync", "environment": "production", "reason": "a bench"});
    let asked = world.admin_post("/v1/enrolments", "ann", &body).await.json();
    let path = format!("/v1/approvals/{}", asked["approval"].as_str().expect("an approval"));
    let version = world.admin_get(&path, "sven").await["version"].clone();
    let verdict = json!({"verdict": "approve", "reason": "a bench", "version": version});
    assert_eq!(world.admin_post(&format!("{path}/reviews"), "sven", &verdict).await.status, 200);
    machine.request("one", "-algorithm EC -pkeyopt ec_paramgen_curve:P-256", "").await;
    let user = format!("globex/order-sync:{}", asked["token"].as_str().expect("a token"));
    let reply = machine.enrol("production", "simpleenroll", "one", None, Some(&user)).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    machine
}

/// How many were answered with a token, and how many were not.
async fn run(to: SocketAddr, tls: &Arc<ClientConfig>, time: Duration) -> (usize, usize) {
    let (answered, failed) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let begun = Instant::now();
    let clients: Vec<_> = (0..CONNECTIONS)
        .map(|_| {
            let (tls, answered, failed) = (Arc::clone(tls), Arc::clone(&answered), Arc::clone(&failed));
            tokio::spawn(async move {
                while begun.elapsed() < time {
                    let counter = if exchange(to, &tls).await.is_ok_and(|token| token) { &answered } else { &failed };
                    counter.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    for client in clients {
        client.await.expect("a client of the load");
    }
    (answered.load(Ordering::Relaxed), failed.load(Ordering::Relaxed))
}

async fn exchange(to: SocketAddr, tls: &Arc<ClientConfig>) -> io::Result<bool> {
    let stream = TcpStream::connect(to).await?;
    stream.set_nodelay(true)?;
    let name = ServerName::IpAddress(to.ip().into());
    let mut stream = tokio_rustls::TlsConnector::from(Arc::clone(tls)).connect(name, stream).await?;
    let head = format!("POST /production/token HTTP/1.1\r\nhost: {to}\r\nconnection: close\r\n");
    let kind = "content-type: application/x-www-form-urlencoded";
    let request = format!("{head}{kind}\r\ncontent-length: {}\r\n\r\n{FORM}", FORM.len());
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::with_capacity(4096);
    stream.read_to_end(&mut answer).await?;
    Ok(answer.starts_with(b"HTTP/1.1 200 "))
}

/// Microseconds of the server's half of a handshake: the median.
fn handshake(client: &Arc<ClientConfig>, identity: &str) -> f64 {
    // Who signs the server's certificate costs the server nothing; so this client believes everybody by one root.
    let authority = rcgen::KeyPair::generate().expect("a key");
    let mut params = rcgen::CertificateParams::default();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let root = params.self_signed(&authority).expect("signed");
    let issuer = rcgen::Issuer::new(params, authority);
    let key = rcgen::KeyPair::generate().expect("a key");
    let leaf = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
    let leaf = leaf.signed_by(&key, &issuer).expect("signed");
    let chain: Vec<_> = CertificateDer::pem_slice_iter(identity.as_bytes()).map(|one| one.expect("PEM")).collect();
    let provider = Arc::clone(client.crypto_provider());

    let mut partners = RootCertStore::empty();
    partners.add(chain.last().expect("a chain").clone()).expect("an authority");
    let verifier = rustls::server::WebPkiClientVerifier::builder_with_provider(Arc::new(partners), Arc::clone(&provider));
    let mut server = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("a version")
        .with_client_cert_verifier(verifier.build().expect("a verifier"))
        .with_single_cert(vec![leaf.der().clone()], PrivatePkcs8KeyDer::from(key.serialize_der()).into())
        .expect("a certificate");
    server.send_tls13_tickets = 0;
    let mut roots = RootCertStore::empty();
    roots.add(root.der().clone()).expect("a root");
    let client = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("a version")
        .with_root_certificates(roots)
        .with_client_auth_cert(chain, PrivateKeyDer::from_pem_slice(identity.as_bytes()).expect("a key"))
        .expect("an identity");
    let (server, client) = (Arc::new(server), Arc::new(client));
    floor::median((0..HANDSHAKES).map(|_| half(&server, &client)).collect())
}

fn half(server: &Arc<ServerConfig>, client: &Arc<ClientConfig>) -> f64 {
    let name = ServerName::try_from("localhost").expect("a name");
    let mut client = ClientConnection::new(Arc::clone(client), name).expect("a client");
    let (mut spent, mut wire) = (Duration::ZERO, Vec::new());
    let begun = Instant::now();
    let mut server = ServerConnection::new(Arc::clone(server)).expect("a server");
    spent += begun.elapsed();
    while client.is_handshaking() || server.is_handshaking() {
        wire.clear();
        while client.wants_write() {
            client.write_tls(&mut wire).expect("to memory");
        }
        let begun = Instant::now();
        take(&mut wire.as_slice(), |from| server.read_tls(from));
        server.process_new_packets().expect("the handshake goes on");
        let mut answer = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut answer).expect("to memory");
        }
        spent += begun.elapsed();
        take(&mut answer.as_slice(), |from| client.read_tls(from));
        client.process_new_packets().expect("the handshake goes on");
    }
    spent.as_secs_f64() * 1e6
}

fn take(from: &mut &[u8], mut read: impl FnMut(&mut dyn io::Read) -> io::Result<usize>) {
    while !from.is_empty() {
        read(from).expect("from memory");
    }
}

/// Microseconds of one ES256 signature.
fn signature() -> f64 {
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key");
    let random = aws_lc_rs::rand::SystemRandom::new();
    let one = |_| {
        let begun = Instant::now();
        std::hint::black_box(pair.sign(&random, &[b'm'; 480]).expect("signed"));
        begun.elapsed().as_secs_f64() * 1e6
    };
    floor::median((0..HANDSHAKES).map(one).collect())
}
