//! What no software passes: one ES256 verify plus one ES256 sign by aws-lc-rs, in CPU time of this thread.

use std::hint::black_box;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, ParsedPublicKey,
};

use super::clock::Cpu;

/// Rounds of a measurement, and pairs in each.
const ROUNDS: usize = 15;
const PAIRS: usize = 300;

/// Microseconds of one verify plus one sign: the median of the rounds.
pub fn microseconds() -> f64 {
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key");
    let public = ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, pair.public_key().as_ref()).expect("a public key");
    let random = SystemRandom::new();
    // As long as header and claims of an assertion with the claims of a CI job.
    let message = [b'm'; 480];
    let rounds = (0..ROUNDS).map(|_| {
        let begun = Cpu::of_thread();
        for _ in 0..PAIRS {
            let signature = pair.sign(&random, black_box(&message)).expect("signed");
            public.verify_sig(&message, black_box(signature.as_ref())).expect("verifies");
        }
        begun.microseconds() / PAIRS as f64
    });
    median(rounds.collect())
}

/// The middle of some figures.
pub fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}
