//! What no software passes: ES256 verifications and signatures by aws-lc-rs, in CPU time of this thread.

use std::hint::black_box;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, ParsedPublicKey,
};

use super::clock::Cpu;

/// Rounds of a measurement, and pairs in each.
const ROUNDS: usize = 15;
const PAIRS: usize = 300;

/// As long as header and claims of an assertion with the claims of a CI job.
pub const MESSAGE: [u8; 480] = [b'm'; 480];

/// Microseconds of one verify plus one sign, as an exchange has them: the median of the rounds.
pub fn microseconds() -> f64 {
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key");
    let public = public(&pair);
    let random = SystemRandom::new();
    median_of(|| {
        let signature = pair.sign(&random, black_box(&MESSAGE)).expect("signed");
        public.verify_sig(&MESSAGE, black_box(signature.as_ref())).expect("verifies");
    })
}

/// Its public half.
pub fn public(pair: &EcdsaKeyPair) -> ParsedPublicKey {
    ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, pair.public_key().as_ref()).expect("a public key")
}

/// Microseconds of one, the median of the rounds.
pub fn median_of(one: impl Fn()) -> f64 {
    let rounds = (0..ROUNDS).map(|_| {
        let begun = Cpu::of_thread();
        (0..PAIRS).for_each(|_| one());
        begun.microseconds() / PAIRS as f64
    });
    median(rounds.collect())
}

/// The middle of some figures.
pub fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}
