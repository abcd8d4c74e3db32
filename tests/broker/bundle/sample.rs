//! A log in memory, a case in it, and its bundle. Every run makes the same bytes.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use carnet::domain::value::digest::Digest;
use carnet::domain::value::text::{TextDigest, TextRow};
use carnet::journal::bundle::zip::{Files, Stamp, read, write};
use carnet::journal::bundle::{Manifest, Parts, Proved, assemble};
use carnet::journal::tree::merkle::{Frontier, NodeAt, inclusion_path, leaf_hash, prove};
use carnet::journal::tree::note::{Checkpoint, SignerKey, VerifierKey, sign};
use carnet::journal::tree::proof::InclusionProof;
use serde_json::{Value, json};

/// The time of the closing entry: 2026-12-01T12:34:57Z.
pub const CLOSED: i64 = 1_796_128_497;

const ORIGIN: &str = "test.example/carnet";

/// Entries before the closing one.
const BEFORE: u64 = 21;

pub fn key(seed: u8) -> SignerKey {
    SignerKey::from_seed(ORIGIN, &[seed; 32]).expect("a key")
}

/// A statement that both keys sign.
pub fn succession(from: &SignerKey, to: &SignerKey) -> String {
    let text = format!("{ORIGIN}\ncheckpoint key {}\nsucceeded by {}\n", from.verifier(), to.verifier());
    sign(&text, &[from, to]).expect("signed")
}

fn text(said: &str, salt: u8) -> TextRow {
    TextRow { digest: TextDigest::of(&[salt; 16], said), salt: [salt; 16], text: said.to_owned() }
}

/// The case, and what closes it.
pub struct Case {
    pub signer: SignerKey,
    pub successions: Vec<String>,
    pub texts: Vec<TextRow>,
    pub parts: Parts,
    /// What the closing entry has beside the manifest.
    pub closing: Value,
    /// Entries before the closing one.
    pub before: u64,
}

impl Case {
    pub fn new() -> Self {
        let texts =
            vec![text("Jane D\u{f6}e", 1), text("the \"contract\" ended\n<script>alert(1)</script>", 2), text("omar", 3)];
        let case = json!({"id": "off_1", "subject": "globex/order-sync", "by": texts[0].digest.to_string(),
            "reason": texts[1].digest.to_string(), "steps": [{"name": "frozen", "at": CLOSED - 60}, {"name": "closed", "at": CLOSED}]});
        let record = format!("kind: Integration\nowners:\n  business: {}\n", texts[0].digest);
        let files = [("case.json", case.to_string()), ("records/order-sync.1.yaml", record), ("tests.json", "[]".to_owned())];
        let files = files.into_iter().map(|(name, content)| (name.to_owned(), content.into_bytes())).collect();
        let parts =
            Parts { title: "Offboarding of globex/order-sync".to_owned(), files, entries: BTreeSet::from([2, 5, 11, 20]) };
        let closing = json!({"time": CLOSED, "subject": "globex/order-sync", "kind": "offboarding.closed", "by": "broker"});
        Self { signer: key(5), successions: Vec::new(), texts, parts, closing, before: BEFORE }
    }

    pub fn key(&self) -> &VerifierKey {
        self.signer.verifier()
    }

    fn entry(&self, index: u64) -> String {
        let by = self.texts[2].digest.to_string();
        json!({"index": index, "time": CLOSED - 3600, "subject": "globex", "kind": "partner.verified", "by": by}).to_string()
    }

    /// The entries and their proofs in the checkpoint of the closing one.
    pub fn proved(&self) -> Proved {
        let names: Vec<(String, String)> =
            self.parts.entries.iter().map(|index| (format!("journal/{index}.json"), self.entry(*index))).collect();
        let under = self.parts.files.iter().map(|(name, content)| (&**name, &**content));
        let under: Files<'_> = under.chain(names.iter().map(|(name, body)| (&**name, body.as_bytes()))).collect();
        let mut closing = self.closing.clone();
        closing["index"] = self.before.into();
        if closing.get("manifest").is_none() {
            closing["manifest"] = Manifest::of(&under).digest().to_string().into();
        }
        let bodies: Vec<String> = (0..self.before).map(|index| self.entry(index)).chain([closing.to_string()]).collect();

        let (mut frontier, mut nodes) = (Frontier::default(), HashMap::new());
        bodies.iter().for_each(|body| nodes.extend(frontier.append(leaf_hash(body.as_bytes()))));
        let checkpoint = Checkpoint { origin: ORIGIN.to_owned(), size: frontier.size(), root: frontier.root() };
        let checkpoint = checkpoint.signed(&[&self.signer]).expect("signed");
        let proof = |index: u64| {
            let path = inclusion_path(index, frontier.size()).expect("in it");
            let hashes = prove(&path, |node: NodeAt| nodes.get(&node).copied()).expect("all nodes are known");
            let entry = bodies[usize::try_from(index).expect("small")].clone();
            InclusionProof { index, entry, hashes, checkpoint: checkpoint.clone() }
        };
        let entries = self.parts.entries.iter().map(|index| proof(*index)).collect();
        Proved { closing: proof(self.before), entries, successions: self.successions.clone() }
    }

    /// With the plain texts.
    pub fn told(&self) -> Vec<u8> {
        assemble(&self.parts, &self.proved(), Some(self.texts.clone())).expect("made")
    }

    /// Without them, for a partner.
    pub fn left_out(&self) -> Vec<u8> {
        assemble(&self.parts, &self.proved(), None).expect("made")
    }
}

/// The contents of a bundle.
pub fn files(bundle: &[u8]) -> BTreeMap<String, Vec<u8>> {
    let archive = read(bundle).expect("an archive");
    archive.files.into_iter().map(|(name, content)| (name.to_owned(), content.to_vec())).collect()
}

/// A sound archive of other contents.
pub fn remade(files: &BTreeMap<String, Vec<u8>>) -> Vec<u8> {
    let files: Files<'_> = files.iter().map(|(name, content)| (&**name, &**content)).collect();
    write(&files, Stamp::of(CLOSED.try_into().expect("a time"))).expect("an archive")
}

/// The digest of a file, as a manifest has it.
pub fn digest(content: &[u8]) -> String {
    Digest::of(content).to_string()
}
