//! Signed notes and checkpoints (C2SP signed-note and tlog-checkpoint), with Ed25519 signatures.
//!
//! Enter through [`Checkpoint::signed`] to write and [`VerifierKey::open`] with [`Checkpoint::parse`] to read. Readers take
//! exactly one spelling of everything. Signatures of others (witnesses) on a note are passed over, as C2SP asks; a wrong one
//! under our own name and key id refuses the note. Deliberately not here: where keys and checkpoints are kept.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::domain::value::digest::Digest;

/// The signature type of plain Ed25519 notes.
const ED25519_TYPE: u8 = 0x01;

/// A note with more signatures than this is refused before any is read.
const MAX_SIGNATURES: usize = 100;

/// A longer note is refused: a checkpoint is some 200 bytes.
const MAX_NOTE: usize = 1 << 16;

/// Why a note, checkpoint or key cannot be used.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum NoteFault {
    /// Not the form of C2SP signed-note.
    #[error("not a signed note: expected text, an empty line, and lines of — NAME SIGNATURE")]
    Note,
    /// Not the form of C2SP tlog-checkpoint, or with extension lines, which we do not use.
    #[error("not a checkpoint: expected three lines of origin, size and root in base64")]
    Checkpoint,
    /// Not a verifier key, or its id is not that of its name and key.
    #[error("not a verifier key: expected NAME+ID+KEY, as `carnet key show --checkpoint` prints it")]
    Key,
    /// A name that is empty or holds spaces, control characters or `+`.
    #[error("not a name for a key: expected characters without spaces and +")]
    Name,
    /// No signature by the wanted key.
    #[error("the note is not signed by the expected key")]
    Unsigned,
    /// A signature by the wanted name and key id, and it is wrong.
    #[error("the signature of the note is wrong")]
    Signature,
}

/// The head of a log: how many entries it has, and their Merkle root.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Checkpoint {
    /// The log's unique name, a URL without scheme: `[journal] origin` of the configuration.
    pub origin: String,
    /// The number of entries.
    pub size: u64,
    /// The root over them.
    pub root: Digest,
}

/// A checkpoint as it is kept outside of the store, with the epoch under the same signatures.
///
/// A log that was reopened has left a longer one behind, and a checkpoint of that one says nothing against it. Somebody who can write where
/// it is kept must not be able to pass such a checkpoint off as one of the present epoch.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Kept {
    /// The head.
    pub checkpoint: Checkpoint,
    /// 1, and a later one after each `reopen`; none in a checkpoint without it.
    pub epoch: Option<u64>,
}

/// The public half of a note key, written `name+hexid+base64(0x01 ‖ key)`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct VerifierKey {
    name: String,
    id: [u8; 4],
    key: [u8; 32],
}

/// The private half. Neither printable nor serialisable.
pub struct SignerKey {
    pair: Ed25519KeyPair,
    verifier: VerifierKey,
}

impl Checkpoint {
    /// The note's text: origin, size, root, each on its line.
    pub fn text(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, STANDARD.encode(self.root.0))
    }

    /// The signed note, with one signature per key (two while the key is handed over).
    pub fn signed(&self, keys: &[&SignerKey]) -> Result<String, NoteFault> {
        let text = self.text();
        // We can read all that we sign: an origin with a line feed, say, would sign another tree.
        if Self::parse(&text)? != *self {
            return Err(NoteFault::Checkpoint);
        }
        sign(&text, keys)
    }

    /// Reads the text of a note. Extension lines are refused; [`Kept`] alone has one.
    pub fn parse(text: &str) -> Result<Self, NoteFault> {
        let mut lines = text.strip_suffix('\n').ok_or(NoteFault::Checkpoint)?.split('\n');
        let (Some(origin), Some(size), Some(root), None) = (lines.next(), lines.next(), lines.next(), lines.next()) else {
            return Err(NoteFault::Checkpoint);
        };
        let checkpoint = Self {
            origin: origin.to_owned(),
            size: size.parse().map_err(|_| NoteFault::Checkpoint)?,
            root: Digest(decode(root).ok_or(NoteFault::Checkpoint)?),
        };
        // Written again it must be the same: no `+5`, no `007`, no other spelling of base64.
        let canonical = !origin.is_empty() && !origin.contains(char::is_control) && checkpoint.text() == text;
        canonical.then_some(checkpoint).ok_or(NoteFault::Checkpoint)
    }
}

impl Kept {
    /// The note's text: the checkpoint, and the epoch on an extension line (C2SP tlog-checkpoint).
    pub fn text(&self) -> String {
        let epoch = self.epoch.map(|epoch| format!("epoch {epoch}\n")).unwrap_or_default();
        format!("{}{epoch}", self.checkpoint.text())
    }

    /// Reads the text of a note, with an epoch or without.
    pub fn parse(text: &str) -> Result<Self, NoteFault> {
        let (checkpoint, epoch) = match text.strip_suffix('\n').and_then(|text| text.rsplit_once("\nepoch ")) {
            Some((checkpoint, epoch)) => (format!("{checkpoint}\n"), Some(epoch.parse().map_err(|_| NoteFault::Checkpoint)?)),
            None => (text.to_owned(), None),
        };
        let kept = Self { checkpoint: Checkpoint::parse(&checkpoint)?, epoch };
        // One spelling, as of checkpoints.
        if kept.text() == text { Ok(kept) } else { Err(NoteFault::Checkpoint) }
    }
}

impl SignerKey {
    /// The key with this 32-byte Ed25519 seed (RFC 8032 section 5.1.5), under a name.
    pub fn from_seed(name: &str, seed: &[u8; 32]) -> Result<Self, NoteFault> {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| NoteFault::Key)?;
        let key = pair.public_key().as_ref().try_into().map_err(|_| NoteFault::Key)?;
        Ok(Self { pair, verifier: VerifierKey::new(name, key)? })
    }

    /// The public half.
    pub fn verifier(&self) -> &VerifierKey {
        &self.verifier
    }
}

impl VerifierKey {
    /// The verifier of a name and an Ed25519 public key.
    pub fn new(name: &str, key: [u8; 32]) -> Result<Self, NoteFault> {
        if !is_name(name) {
            return Err(NoteFault::Name);
        }
        let digest = Digest::of_parts(&[name.as_bytes(), b"\n", &[ED25519_TYPE], &key]);
        let [a, b, c, d, ..] = digest.0;
        Ok(Self { name: name.to_owned(), id: [a, b, c, d], key })
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The Ed25519 public key.
    pub fn key(&self) -> &[u8; 32] {
        &self.key
    }

    /// The text of a note, once this key's signature on it was found right.
    pub fn open<'a>(&self, note: &'a str) -> Result<&'a str, NoteFault> {
        let (text, signatures) = split(note)?;
        let mut seen = false;
        for (name, id, signature) in &signatures {
            if *name != self.name || *id != self.id {
                continue;
            }
            let public = UnparsedPublicKey::new(&ED25519, self.key);
            public.verify(text.as_bytes(), signature).map_err(|_| NoteFault::Signature)?;
            seen = true;
        }
        if seen { Ok(text) } else { Err(NoteFault::Unsigned) }
    }
}

/// A note: `text`, which ends with a line feed, an empty line, and one signature line per key.
pub fn sign(text: &str, keys: &[&SignerKey]) -> Result<String, NoteFault> {
    if !is_text(text) || keys.is_empty() {
        return Err(NoteFault::Note);
    }
    let mut note = format!("{text}\n");
    for SignerKey { pair, verifier } in keys {
        let signature = pair.sign(text.as_bytes());
        let blob = STANDARD.encode([&verifier.id, signature.as_ref()].concat());
        note.push_str(&format!("\u{2014} {} {blob}\n", verifier.name));
    }
    Ok(note)
}

/// Name, key id and signature of one line.
type Signature<'a> = (&'a str, [u8; 4], Vec<u8>);

/// Text and signatures, form checked, nothing believed.
fn split(note: &str) -> Result<(&str, Vec<Signature<'_>>), NoteFault> {
    if note.len() > MAX_NOTE {
        return Err(NoteFault::Note);
    }
    // The last empty line divides: the text itself may hold some.
    let at = note.rfind("\n\n").ok_or(NoteFault::Note)?;
    let (text, lines) = note.split_at_checked(at + 1).ok_or(NoteFault::Note)?;
    let lines = lines.strip_prefix('\n').and_then(|lines| lines.strip_suffix('\n')).ok_or(NoteFault::Note)?;
    if !is_text(text) || lines.split('\n').count() > MAX_SIGNATURES {
        return Err(NoteFault::Note);
    }
    let signatures = lines.split('\n').map(|line| signature(line).ok_or(NoteFault::Note)).collect::<Result<_, _>>()?;
    Ok((text, signatures))
}

fn signature(line: &str) -> Option<Signature<'_>> {
    let (name, blob) = line.strip_prefix("\u{2014} ")?.split_once(' ')?;
    let blob = STANDARD.decode(blob).ok()?;
    let (id, signature) = blob.split_first_chunk::<4>()?;
    (is_name(name) && !signature.is_empty()).then(|| (name, *id, signature.to_vec()))
}

/// Text ends with a line feed and holds no other control character.
fn is_text(text: &str) -> bool {
    text.ends_with('\n') && !text.chars().any(|c| c != '\n' && c.is_control())
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && !name.chars().any(|c| c == '+' || c.is_whitespace() || c.is_control())
}

/// Exactly `N` bytes of padded, canonical base64.
fn decode<const N: usize>(text: &str) -> Option<[u8; N]> {
    STANDARD.decode(text).ok()?.try_into().ok()
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut typed = vec![ED25519_TYPE];
        typed.extend_from_slice(&self.key);
        write!(f, "{}+{:08x}+{}", self.name, u32::from_be_bytes(self.id), STANDARD.encode(typed))
    }
}

impl FromStr for VerifierKey {
    type Err = NoteFault;
    fn from_str(text: &str) -> Result<Self, NoteFault> {
        // The key is base64 and may hold `+` itself.
        let mut parts = text.splitn(3, '+');
        let (Some(name), Some(_id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(NoteFault::Key);
        };
        let [ED25519_TYPE, key @ ..] = decode::<33>(key).ok_or(NoteFault::Key)? else { return Err(NoteFault::Key) };
        let verifier = Self::new(name, key)?;
        // The id is computed, never taken: written again it must be the same.
        if verifier.to_string() == text { Ok(verifier) } else { Err(NoteFault::Key) }
    }
}

/// The name only.
impl fmt::Debug for SignerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SignerKey({})", self.verifier.name)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The example of Go's golang.org/x/mod/sumdb/note, where the format comes from.
    const PETER: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
    const PETER_SEED: &str = "AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz";
    const TEXT: &str = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n";
    const NOTE: &str = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n\n\
        — PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";

    fn peter() -> SignerKey {
        let [_, seed @ ..] = decode::<33>(PETER_SEED).expect("33 bytes");
        SignerKey::from_seed("PeterNeumann", &seed).expect("a key")
    }

    #[test]
    fn the_published_note_verifies_and_is_what_we_sign() {
        let key: VerifierKey = PETER.parse().expect("a key");
        assert_eq!(key.to_string(), PETER);
        assert_eq!(key.open(NOTE), Ok(TEXT));
        assert_eq!(peter().verifier(), &key);
        assert_eq!(sign(TEXT, &[&peter()]).as_deref(), Ok(NOTE));
        // The key of Go's checksum database.
        assert!("sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8".parse::<VerifierKey>().is_ok());
    }

    #[test]
    fn a_note_has_one_form() {
        let key: VerifierKey = PETER.parse().expect("a key");
        for (bad, fault) in [
            (NOTE.replace("x08go/", "x08gp/"), NoteFault::Unsigned), // another key id
            (NOTE.replace("ZJkuBS", "ZJkuBT"), NoteFault::Signature),
            (NOTE.replace("If you", "if you"), NoteFault::Signature),
            (NOTE.replace("— Peter", "— Pet3r"), NoteFault::Unsigned),
            (NOTE.replace("— Peter", "- Peter"), NoteFault::Note),
            (NOTE.replace("— Peter", "—  Peter"), NoteFault::Note),
            (NOTE.replace("nAM=\n", "nAM=\n\n"), NoteFault::Note),
            (NOTE.replace("nAM=\n", "nAM="), NoteFault::Note),
            (NOTE.replace("nAM=\n", "nAM\n"), NoteFault::Note),
            (NOTE.replace("nAM=\n", "nAN=\n"), NoteFault::Note), // bits beyond the end
            (NOTE.replace("nAM=\n", "nAM= \n"), NoteFault::Note),
            (NOTE.replace("nAM=\n", "nAM=\r\n"), NoteFault::Note),
            (NOTE.replace("problem,\n", "problem,\r\n"), NoteFault::Note),
            (NOTE.replace("problem,\n", "problem,\u{85}\n"), NoteFault::Note),
            (NOTE.replace("\n\n", "\n"), NoteFault::Note),
            (TEXT.to_owned(), NoteFault::Note),
            (format!("{TEXT}\n"), NoteFault::Note),
            (String::new(), NoteFault::Note),
            ("\n\n".to_owned(), NoteFault::Note),
            (format!("{NOTE}{}", "— x AAAAAAA=\n".repeat(100)), NoteFault::Note),
            (format!("{}{NOTE}", "x".repeat(MAX_NOTE)), NoteFault::Note),
            // A right signature does not excuse a wrong one of the same key.
            (format!("{NOTE}— PeterNeumann x08gowAAAAA=\n"), NoteFault::Signature),
        ] {
            assert_eq!(key.open(&bad), Err(fault), "{bad:?}");
        }
        // A witness's signature is passed over.
        assert_eq!(key.open(&format!("{NOTE}— witness.example AAAAAAA=\n")), Ok(TEXT));
        assert_eq!(sign("no line feed", &[&peter()]), Err(NoteFault::Note));
        assert_eq!(sign(TEXT, &[]), Err(NoteFault::Note));
    }

    #[test]
    fn a_verifier_key_has_one_form() {
        for bad in [
            "",
            "PeterNeumann",
            "PeterNeumann+c74f20a3",
            "PeterNeumann+c74f20a4+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
            "PeterNeumann+C74F20A3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
            "PeterNeumann+c74f20a3+AhpC2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
            "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10Q=",
            "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq_LDE4izWy10TW",
            "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW\n",
        ] {
            assert_eq!(bad.parse::<VerifierKey>(), Err(NoteFault::Key), "{bad:?}");
        }
        for bad in ["", "a b", "a+b", "a\u{a0}b", "a\n"] {
            assert_eq!(VerifierKey::new(bad, [0; 32]), Err(NoteFault::Name), "{bad:?}");
        }
    }

    #[test]
    fn a_kept_checkpoint_has_its_epoch_in_one_form() {
        let text = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n";
        let checkpoint = Checkpoint::parse(text).expect("a checkpoint");
        for (more, epoch) in [("", None), ("epoch 1\n", Some(1)), ("epoch 18446744073709551615\n", Some(u64::MAX))] {
            let kept = Kept::parse(&format!("{text}{more}")).expect("kept");
            assert_eq!((&kept.checkpoint, kept.epoch, kept.text()), (&checkpoint, epoch, format!("{text}{more}")));
        }
        for bad in [
            "epoch 01\n",
            "epoch +1\n",
            "epoch -1\n",
            "epoch \n",
            "epoch 1",
            "epoch 1\n\n",
            "epoch 1\nepoch 2\n",
            "epoch 18446744073709551616\n",
            "other 1\n",
            "\nepoch 1\n",
        ] {
            assert_eq!(Kept::parse(&format!("{text}{bad}")), Err(NoteFault::Checkpoint), "{bad:?}");
        }
    }

    #[test]
    fn a_checkpoint_has_one_form() {
        let root = "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=";
        let text = format!("example.com/behind-the-sofa\n20852163\n{root}\n"); // the example of tlog-checkpoint
        let checkpoint = Checkpoint::parse(&text).expect("a checkpoint");
        assert_eq!((checkpoint.size, checkpoint.text()), (20_852_163, text.clone()));
        for bad in [
            text.replace("20852163", "020852163"),
            text.replace("20852163", "+20852163"),
            text.replace("20852163", "-1"),
            text.replace("20852163", ""),
            text.replace("20852163", "18446744073709551616"),
            text.replace("q2I=", "q2J="),
            text.replace("q2I=", "q2I"),
            text.replace("CsUY", "CsU"),
            text.replace('/', "_"),
            text.replace("example.com/behind-the-sofa", ""),
            text.replace('\n', "\r\n"),
            format!("{text}extension\n"),
            text.trim_end().to_owned(),
            format!("{text}\n"),
            String::new(),
        ] {
            assert_eq!(Checkpoint::parse(&bad), Err(NoteFault::Checkpoint), "{bad:?}");
        }
        let forged = Checkpoint { origin: format!("a\n1\n{root}\nb"), ..checkpoint };
        assert_eq!(forged.signed(&[&peter()]), Err(NoteFault::Checkpoint));
    }

    #[test]
    fn a_key_is_handed_over_by_two_signatures() {
        let checkpoint = Checkpoint { origin: "log.example".to_owned(), size: 7, root: Digest::of(b"x") };
        let next = SignerKey::from_seed("log.example", &[9; 32]).expect("a key");
        let note = checkpoint.signed(&[&peter(), &next]).expect("signed");
        for key in [peter(), next] {
            let text = key.verifier().open(&note).expect("signed by both");
            assert_eq!(Checkpoint::parse(text).as_ref(), Ok(&checkpoint));
            assert!(!format!("{key:?}").contains("CRQ"));
        }
    }

    proptest! {
        #[test]
        fn no_note_makes_the_reader_panic(note in "\\PC{0,40}\n{0,3}(— )?[a-z+ ]{0,9}[A-Za-z0-9+/=]{0,20}\n{0,2}") {
            let key: VerifierKey = PETER.parse().expect("a key");
            prop_assert!(key.open(&note).is_err());
            let _ = Checkpoint::parse(&note);
            let _ = note.parse::<VerifierKey>();
        }
    }
}
