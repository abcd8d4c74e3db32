//! Certificates that are almost ours (ABUSE S9).
//!
//! Each is signed by this environment's issuing key and fails by its profile alone, or has the right form and another signer.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, SanType, SerialNumber,
};

use crate::authn::certificate::{NotOurs, verify};
use crate::domain::credential::certificate::{Authority, Der};
use crate::domain::credential::spiffe_id::SpiffeId;
use crate::domain::reason;
use crate::domain::value::clock::Timestamp;
use crate::domain::value::digest::Digest;
use crate::domain::value::names::TrustDomain;
use crate::issuance::authority::ocsp::Question;
use crate::issuance::authority::request::RequestedKey;

const NAME: &str = "spiffe://production.acme.example/globex/order-sync";

struct House {
    authority: Authority,
    issuer: Issuer<'static, KeyPair>,
}

fn trust_domain() -> TrustDomain {
    "production.acme.example".parse().expect("a name")
}

/// An authority whose issuing certificate has this name.
fn house(name: &str) -> House {
    let key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let certificate = params.self_signed(&key).expect("signed");
    let authority = Authority {
        environment: "production".parse().expect("a name"),
        kid: "kid".parse().expect("a name"),
        root: Der(certificate.der().to_vec()),
        issuing: Der(certificate.der().to_vec()),
        ends: Timestamp::MAX,
        sealed: Digest::of(b""),
        sealed_root: Digest::of(b""),
    };
    House { authority, issuer: Issuer::new(params, key) }
}

/// The profile of a leaf, to be changed.
fn leaf() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.subject_alt_names = vec![uri(NAME)];
    params.serial_number = Some(SerialNumber::from_slice(&[0x41; 16]));
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    params
}

fn uri(text: &str) -> SanType {
    SanType::URI(text.try_into().expect("ASCII"))
}

fn dns(text: &str) -> SanType {
    SanType::DnsName(text.try_into().expect("ASCII"))
}

impl House {
    fn sign(&self, params: &CertificateParams) -> Vec<u8> {
        let key = KeyPair::generate().expect("a key");
        params.signed_by(&key, &self.issuer).expect("signed").der().to_vec()
    }

    fn judge(&self, der: &[u8]) -> Result<(), NotOurs> {
        verify(der, &trust_domain(), [&self.authority].into_iter()).map(|_| ())
    }

    fn judged(&self, change: impl FnOnce(&mut CertificateParams)) -> Result<(), NotOurs> {
        let mut params = leaf();
        change(&mut params);
        self.judge(&self.sign(&params))
    }
}

#[test]
fn a_leaf_of_our_form_says_what_it_says() {
    let house = house("issuing");
    let der = house.sign(&leaf());
    let read = verify(&der, &trust_domain(), [&house.authority].into_iter()).expect("ours");
    assert_eq!(read.leaf.integration.to_string(), "globex/order-sync");
    assert_eq!((read.leaf.serial.as_str(), read.fingerprint), ("41".repeat(16).as_str(), Digest::of(&der)));
}

#[test]
fn m_03_m_08_the_signature_decides_and_no_name() {
    let (ours, rogue) = (house("issuing"), house("issuing"));
    assert_eq!(ours.judge(&rogue.sign(&leaf())), Err(NotOurs::Issuer));
    assert_eq!(house("another name").judge(&rogue.sign(&leaf())), Err(NotOurs::Issuer));
    let mut params = leaf();
    params.distinguished_name = DistinguishedName::new();
    let own = params.self_signed(&KeyPair::generate().expect("a key")).expect("signed");
    assert_eq!(ours.judge(own.der()), Err(NotOurs::Issuer));
}

#[test]
fn m_04_the_extended_key_usage_is_that_of_a_client() {
    let house = house("issuing");
    use ExtendedKeyUsagePurpose::{Any, ClientAuth, OcspSigning, ServerAuth};
    for usages in [vec![], vec![ServerAuth], vec![Any], vec![ClientAuth, Any], vec![ClientAuth, OcspSigning]] {
        let judged = house.judged(|params| params.extended_key_usages.clone_from(&usages));
        assert!(matches!(judged, Err(NotOurs::Form(_))), "{usages:?}: {judged:?}");
    }
    assert_eq!(house.judged(|params| params.extended_key_usages = vec![ClientAuth]), Ok(()));
}

#[test]
fn m_05_an_authority_is_no_leaf_and_a_leaf_signs_only_what_a_client_signs() {
    let house = house("issuing");
    use KeyUsagePurpose::{CrlSign, DigitalSignature, KeyCertSign, KeyEncipherment};
    let judged = house.judged(|params| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained));
    assert!(matches!(judged, Err(NotOurs::Form(_))), "{judged:?}");
    for usages in [vec![], vec![KeyEncipherment], vec![DigitalSignature, KeyCertSign], vec![DigitalSignature, CrlSign]] {
        let judged = house.judged(|params| params.key_usages.clone_from(&usages));
        assert!(matches!(judged, Err(NotOurs::Form(_))), "{usages:?}: {judged:?}");
    }
    let judged = house.judged(|params| {
        let mut unknown = CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 99_999, 1], vec![5, 0]);
        unknown.set_criticality(true);
        params.custom_extensions.push(unknown);
    });
    assert_eq!(judged, Err(NotOurs::Form("a critical extension")));
}

#[test]
fn m_06_m_10_exactly_one_name_and_that_one_ours() {
    let house = house("issuing");
    let other = "spiffe://production.acme.example/initech/order-sync";
    let many: Vec<SanType> = (0..1000).map(|n| uri(&format!("{NAME}-{n}"))).collect();
    for names in [
        vec![],
        vec![uri(NAME), uri(other)],
        vec![uri(NAME), dns("globex.example")],
        vec![dns("globex.example")],
        vec![SanType::IpAddress([127, 0, 0, 1].into())],
        vec![uri("spiffe://*.acme.example/globex/order-sync")],
        vec![uri("spiffe://production.acme.example/globex/*")],
        vec![uri("spiffe://sandbox.acme.example/globex/order-sync")],
        vec![uri("spiffe://production.acme.example/Globex/order-sync")],
        vec![uri("spiffe://production.acme.example/globex/x/../order-sync")],
        vec![uri("spiffe://production.acme.example/globex/order%2dsync")],
        vec![uri("spiffe://production.acme.example/globex/order-sync\0")],
        many,
    ] {
        let judged = house.judged(|params| params.subject_alt_names.clone_from(&names));
        assert!(matches!(judged, Err(NotOurs::Name | NotOurs::Malformed)), "{} names: {judged:?}", names.len());
    }
    // A common name beside it, and nothing but a common name.
    let named = |params: &mut CertificateParams| params.distinguished_name.push(DnType::CommonName, "initech/order-sync");
    assert_eq!(house.judged(named), Err(NotOurs::Name));
    let judged = house.judged(|params| {
        named(params);
        params.subject_alt_names = vec![];
    });
    assert_eq!(judged, Err(NotOurs::Name));
}

#[test]
fn m_19_large_certificates_are_not_looked_at() {
    let house = house("issuing");
    let started = std::time::Instant::now();
    let padding = |params: &mut CertificateParams| {
        params.custom_extensions.push(CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 99_999, 2], vec![4; 100_000]));
    };
    assert_eq!(house.judged(padding), Err(NotOurs::Malformed));
    assert!(started.elapsed().as_millis() < 500, "{:?}", started.elapsed());
}

/// A certificate whose signature counts other unused bits is refused.
///
/// Ten thousand mutations find this fault one time in five.
#[test]
fn a_certificate_with_another_count_of_unused_bits_is_nobody() {
    let house = house("issuing");
    // In DER, unused bits are zero: a signature that ends in one is read either way.
    let good = std::iter::repeat_with(|| house.sign(&leaf())).find(|der| der.last().is_some_and(|last| last % 4 == 0));
    let good = good.expect("one in four");
    assert_eq!(house.judge(&good), Ok(()));
    let signature = good.windows(5).rposition(|at| at[0] == 0x03 && at[2..4] == [0x00, 0x30]).expect("a BIT STRING");
    for unused in 1..=8 {
        let mut der = good.clone();
        der[signature + 2] = unused;
        assert_eq!(house.judge(&der), Err(NotOurs::Malformed), "{unused} unused bits");
    }
}

/// A request for P-256 that names nobody.
fn request() -> Vec<u8> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.serialize_request(&KeyPair::generate().expect("a key")).expect("a request").der().to_vec()
}

fn id() -> SpiffeId {
    NAME.parse().expect("a name")
}

#[test]
fn a_request_is_one_der_value_that_its_own_key_signed() {
    let good = request();
    assert!(RequestedKey::read(&good, &id()).is_ok());
    let longer = [&good[..], &[0]].concat();
    for bad in [&good[..good.len() - 1], &longer, b"", &[0x30, 0x80], &vec![0x30; 9000]] {
        assert_eq!(RequestedKey::read(bad, &id()).err(), Some(&reason::ENROLMENT_REQUEST));
    }
}

/// a key has one form. Otherwise a revoked key could come back in another form.
///
/// Both requests are signed soundly by the same P-256 key. One has its point compressed, one has the whole SubjectPublicKeyInfo in
/// place of the point, and the library below takes both.
#[test]
fn a_20_a_key_in_another_form_is_not_taken() {
    let compressed = "MIGZMEICAQAwADA5MBMGByqGSM49AgEGCCqGSM49AwEHAyIAAxoFBYMKudk0gIXyjjICFNonmgZpRM3T2icGYsvFp3JxoAAwCgYIKoZIzj0EAw\
        IDRwAwRAIgSpmPEmVcTvUb1uR8Ono3wAMo4IOMoC1GBiTq6lFxkb8CIAdBgmNMw2/0Ckj2xDz5OBXnTQ8+RdsRjR9j+f+bzkXV";
    let nested = "MIHTMHwCAQAwADBzMBMGByqGSM49AgEGCCqGSM49AwEHA1wAMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEGgUFgwq52TSAhfKOMgIU2ieaBm\
        lEzdPaJwZiy8WncnEbnA7lnrSayfAiC5yBEBKzuAl76p8DRl3jd6AfleKBP6AAMAoGCCqGSM49BAMCA0cAMEQCIDu8+V0dDP27ZHYKbN/GtqcH\
        knOR0r9612spPu1w0NYnAiBYz3zhLafk1r0O8kUguce7Ak3FnGkAgFoovTR24sdiSw==";
    for request in [compressed, nested] {
        let der = STANDARD.decode(request).expect("base64");
        assert_eq!(RequestedKey::read(&der, &id()).err(), Some(&reason::ENROLMENT_KEY));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 10_000, failure_persistence: None, ..ProptestConfig::default() })]

    /// No byte of a certificate can be changed, cut or added without a refusal; nothing panics.
    ///
    /// Its signature fails, or the bytes are not a certificate.
    #[test]
    fn mutated_certificates_are_nobody(at in any::<prop::sample::Index>(), to in any::<u8>(), cut in any::<bool>()) {
        thread_local!(static SIGNED: (House, Vec<u8>) = { let house = house("issuing"); let der = house.sign(&leaf()); (house, der) });
        SIGNED.with(|(house, der)| {
            let mut der = der.clone();
            let at = at.index(der.len());
            if cut { der.truncate(at) } else if der[at] == to { return Ok(()) } else { der[at] = to }
            // The signature's own encoding is covered: another form of the same two numbers is not the same certificate.
            let judged = verify(&der, &trust_domain(), [&house.authority].into_iter());
            prop_assert!(judged.is_err(), "byte {at}");
            Ok(())
        })?;
    }

    /// No byte of a request can be changed without losing it; no input panics.
    #[test]
    fn mutated_requests_give_no_other_key(at in any::<prop::sample::Index>(), to in any::<u8>(), noise in prop::collection::vec(any::<u8>(), 0..200)) {
        thread_local!(static REQUEST: Vec<u8> = request());
        REQUEST.with(|good| {
            let original = RequestedKey::read(good, &id()).expect("sound").digest();
            let mut der = good.clone();
            let at = at.index(der.len());
            der[at] = to;
            if let Ok(read) = RequestedKey::read(&der, &id()) {
                prop_assert_eq!(read.digest(), original, "byte {}", at);
            }
            let _refused = RequestedKey::read(&noise, &id());
            let _refused = verify(&noise, &trust_domain(), std::iter::empty());
            // The same bytes as a question about a certificate, bare and as a sequence.
            let framed = [&[0x30, noise.len().min(127) as u8][..], &noise].concat();
            prop_assert!(Question::read(&noise).is_err() && Question::read(&framed).is_err());
            Ok(())
        })?;
    }
}
