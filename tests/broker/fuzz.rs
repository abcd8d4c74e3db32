//! The fuzz targets of `tests/fuzz` over their seeds and 10,000 mutations each: flipped, cut, spliced and repeated bytes, and lengths that
//! lie. A fuzzer that follows coverage finds more (`cargo fuzz`); this is what every run of the tests pays for.

#[path = "../fuzz/targets.rs"]
mod targets;

use std::path::Path;

use proptest::prelude::Rng as _;
use proptest::test_runner::{RngAlgorithm, TestRng};

const MUTATIONS: usize = 10_000;

fn seeds(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus").join(target);
    let mut files: Vec<_> = std::fs::read_dir(folder).expect("a folder").map(|file| file.expect("a file").path()).collect();
    files.sort();
    files.iter().map(|file| std::fs::read(file).expect("a seed")).collect()
}

/// Runs `target` over all of it; how many seeds and how many mutations it took.
fn drive(name: &str, target: fn(&[u8]) -> bool) -> (usize, usize) {
    let seeds = seeds(name);
    let mut random = TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]);
    let mut below = |most: usize| random.next_u64() as usize % most.max(1);
    let whole = seeds.iter().filter(|seed| target(seed)).count();
    let mut taken = 0;
    for _ in 0..MUTATIONS {
        let mut bytes = seeds[below(seeds.len())].clone();
        for _ in 0..=below(3) {
            let at = below(bytes.len());
            match below(6) {
                0 => bytes.truncate(at),
                1 => bytes.insert(at.min(bytes.len()), below(256) as u8),
                // A length, a tag or a bit that is not what it was.
                2 => bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 1 << (at % 8)),
                3 => bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte = [0, 0x7f, 0x80, 0x84, 0xff][at % 5]),
                4 => {
                    let other = &seeds[below(seeds.len())];
                    let from = below(other.len());
                    bytes.truncate(at);
                    bytes.extend_from_slice(&other[from..]);
                }
                _ => {
                    let again = bytes[at.min(bytes.len())..].to_vec();
                    bytes.extend(again);
                }
            }
        }
        taken += usize::from(target(&bytes));
    }
    (whole, taken)
}

#[test]
fn mutated_certificates_are_nobodys() {
    assert_eq!(drive("certificate", targets::certificate).0, 2, "the two leaves are leaves");
}

#[test]
fn mutated_requests_prove_no_other_key() {
    assert_eq!(drive("request", targets::request).0, 4, "the sound requests are sound");
}

#[test]
fn mutated_words_of_a_source_of_people_make_sound_people() {
    let (whole, taken) = drive("people", targets::people);
    assert_eq!(whole, 4, "all but the filter are users or operations");
    assert!(taken > 100, "{taken}: mutations are taken too");
}

#[test]
fn mutated_questions_break_nothing() {
    assert_eq!(drive("question", targets::question).0, 1, "the question is one");
}

#[test]
fn mutated_bundles_are_no_evidence() {
    assert_eq!(drive("bundle", targets::bundle).0, 2, "the two bundles hold");
}
