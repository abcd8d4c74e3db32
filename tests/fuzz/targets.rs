//! What must hold of any bytes. Each target panics where it does not; a panic below it is a finding as well.
//!
//! The seeds were made by `openssl` and a broker of the tests; the keys of that broker's authorities are gone, so whatever counts as one
//! of its leaves and is not among the seeds is a forgery. `cargo test --test broker bundle::write_seeds -- --ignored` writes the bundles.

use carnet::authn::certificate;
use carnet::authn::svid;
use carnet::domain::credential::certificate::{Authority, Der};
use carnet::domain::credential::spiffe_id::SpiffeId;
use carnet::domain::people::member::Member;
use carnet::domain::value::clock::Timestamp;
use carnet::domain::value::digest::Digest;
use carnet::http::directory::{Filter, body};
use carnet::issuance::authority::ocsp::Question;
use carnet::issuance::authority::request::RequestedKey;
use carnet::journal::bundle::{verify, zip};
use carnet::journal::tree::note::SignerKey;

const ROOT: &[u8] = include_bytes!("corpus/certificate/ca0.der");
const ISSUING: &[u8] = include_bytes!("corpus/certificate/leaf1.der");
const LEAVES: [&[u8]; 2] = [include_bytes!("corpus/certificate/leaf0.der"), include_bytes!("corpus/certificate/rsa0.der")];
const REQUESTS: [&[u8]; 4] = [
    include_bytes!("corpus/request/one.csr.der"),
    include_bytes!("corpus/request/two.csr.der"),
    include_bytes!("corpus/request/rsa.csr.der"),
    include_bytes!("corpus/request/ed25519.der"),
];
const BUNDLES: [&[u8]; 2] = [include_bytes!("corpus/bundle/told.zip"), include_bytes!("corpus/bundle/left-out.zip")];
const NAME: &str = "spiffe://production.127.0.0.1/globex/order-sync";

fn authority() -> Authority {
    Authority {
        environment: "production".parse().expect("a name"),
        kid: "kid".parse().expect("a name"),
        root: Der(ROOT.to_vec()),
        issuing: Der(ISSUING.to_vec()),
        ends: Timestamp::MAX,
        sealed: Digest::of(b""),
        sealed_root: Digest::of(b""),
    }
}

/// Nothing counts as a leaf of ours but what our authority signed, byte for byte. Returns whether it does.
pub fn certificate(data: &[u8]) -> bool {
    let domain = "production.127.0.0.1".parse().expect("a name");
    let taken = certificate::verify(data, &domain, [&authority()].into_iter()).is_ok();
    assert_eq!(taken, LEAVES.contains(&data), "a certificate that nobody signed");
    // The same bytes as somebody's SVID: only whom it claims to be.
    let _claimed = svid::claimed(&Der(data.to_vec()));
    taken
}

/// A request gives a key whose holder signed it, in the one form of that key. Returns whether it does.
pub fn request(data: &[u8]) -> bool {
    let id: SpiffeId = NAME.parse().expect("a name");
    let Ok(key) = RequestedKey::read(data, &id) else { return false };
    // Nobody signs while fuzzing: the key is that of a seed, whatever else was bent.
    let known = |seed: &[u8]| RequestedKey::read(seed, &id).expect("a seed").digest() == key.digest();
    assert!(REQUESTS.iter().any(|seed| known(seed)), "a key that nobody proved to have");
    true
}

/// Whatever a source of people sends, the outcome is a person that can be stored and read back. Returns whether it is one.
pub fn people(data: &[u8]) -> bool {
    let before =
        body::whole(br#"{"userName":"jane","emails":[{"type":"work","value":"j@acme.example"}]}"#, None).expect("a user");
    let (whole, changed) = (body::whole(data, Some(before.clone())), body::patch(data, before));
    let _read = std::str::from_utf8(data).map(Filter::parse);
    let is_one = whole.is_ok() || changed.is_ok();
    for said in [whole, changed].into_iter().flatten() {
        let member = Member::new("psn_x".parse().expect("an id"), said, Timestamp::default());
        let stored = serde_json::to_string(&member).expect("JSON");
        assert!(stored.len() < 40_000, "a person of {} bytes", stored.len());
        assert_eq!(serde_json::from_str::<Member>(&stored).expect("a person"), member);
    }
    is_one
}

/// A question about certificates is bounded. Returns whether it is one.
pub fn question(data: &[u8]) -> bool {
    Question::read(data).is_ok()
}

/// An archive has one reading, and nothing holds as evidence but what the key signed. Returns whether it does.
pub fn bundle(data: &[u8]) -> bool {
    if let Ok(archive) = zip::read(data) {
        assert_eq!(zip::write(&archive.files, archive.stamp).as_deref(), Ok(data), "another reading");
    }
    let signer = SignerKey::from_seed("test.example/carnet", &[5; 32]).expect("a key");
    let holds = verify(data, signer.verifier()).is_ok();
    assert_eq!(holds, BUNDLES.contains(&data), "evidence that nobody gave");
    holds
}
