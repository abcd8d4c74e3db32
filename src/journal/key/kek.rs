//! The key-encryption key (KEK): 32 bytes that seal every private key of the broker.
//!
//! Other secrets are derived from it.
//!
//! Enter through [`Kek::load`]. A sealed blob is AES-256-GCM under a key derived from the KEK, its name (environment, purpose,
//! key id) as associated data: a blob that was moved to another name does not open. Deliberately not here: where blobs are
//! kept (the `keyring` table) and what they hold (issuance).

use std::fmt;
use std::fs;
use std::io::{self, Write as _};
use std::path::Path;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hkdf;
use zeroize::{Zeroize as _, Zeroizing};

use crate::domain::value::clock::Entropy;
use crate::domain::value::digest::Digest;
use crate::domain::value::names::{EnvironmentName, KeyId};
use crate::journal::file::{is_open_to_others, private, private_folder};

/// Length of the key in bytes.
const LENGTH: usize = 32;

/// The label of the key that seals blobs.
const SEALING: &str = "sealed blobs";

/// The label of the key that seals kept answers.
const ANSWERS: &str = "kept answers";

/// The label of the key that seals what all nodes see and the journal does not have.
const RECORDS: &str = "records that all nodes see";

/// The label of the key that seals data keys.
const DATA_KEYS: &str = "data keys";

/// The key-encryption key. Neither printable nor serialisable; its bytes are overwritten on drop.
pub struct Kek(Zeroizing<[u8; LENGTH]>);

/// A key derived from the KEK that seals one kind of thing. Neither printable nor serialisable.
pub struct SealingKey(LessSafeKey);

/// The name of a sealed blob: environment, purpose and key id, separated by `/`.
///
/// None of them can contain `/`.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct BlobName(String);

/// Something sealed under the KEK.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SealedBlob {
    /// Its name, which is sealed with it.
    pub name: BlobName,
    /// Nonce, ciphertext and tag.
    pub sealed: Vec<u8>,
}

/// Why a KEK or a blob cannot be used. Says nothing of their content.
#[derive(Debug, thiserror::Error)]
pub enum KekFault {
    /// The file cannot be read or written.
    #[error("the KEK file {path}: {cause}")]
    File {
        /// Which.
        path: String,
        /// Why.
        cause: io::Error,
    },
    /// Others than the owner may read the file.
    #[error("the KEK file {0} is open to others: its mode must be 0600")]
    Mode(String),
    /// Not 32 bytes.
    #[error("the KEK file {0} does not hold exactly 32 bytes; `carnet key init PATH` makes one")]
    Length(String),
    /// Another KEK sealed it, or it was changed or moved.
    #[error("the sealed blob {0} does not open with this KEK")]
    Sealed(BlobName),
}

impl BlobName {
    /// The name of a key's private half in an environment.
    pub fn new(environment: &EnvironmentName, purpose: &'static str, kid: &KeyId) -> Self {
        Self(format!("{environment}/{purpose}/{kid}"))
    }

    /// The name of a secret of the journal itself: no environment can be called `-`.
    pub(in crate::journal) fn of_journal(purpose: &str) -> Self {
        Self(format!("-/{purpose}/-"))
    }

    /// As it was read from the keyring.
    pub(in crate::journal) fn stored(name: String) -> Self {
        Self(name)
    }

    /// Whether it names a secret of the journal itself.
    pub(in crate::journal) fn is_of_journal(&self) -> bool {
        self.0.starts_with("-/")
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for BlobName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl SealedBlob {
    /// SHA-256 of the sealed bytes, as a change entry names them.
    pub fn digest(&self) -> Digest {
        Digest::of(&self.sealed)
    }
}

impl Kek {
    /// A KEK from bytes of another source than a file (a credential, an unwrap, one for `dev`).
    pub fn from_bytes(bytes: [u8; LENGTH]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// A fresh KEK that lives as long as the process.
    pub fn ephemeral(entropy: &dyn Entropy) -> Self {
        let mut bytes = Zeroizing::new([0; LENGTH]);
        entropy.fill(&mut *bytes);
        Self(bytes)
    }

    /// The same key for another task, which opens blobs while it runs.
    pub(crate) fn lend(&self) -> Self {
        Self(self.0.clone())
    }

    /// Makes a KEK file with mode 0600, and its folder with mode 0700 if that is missing.
    ///
    /// An existing file is never replaced: with it all keys would be lost.
    pub fn create(path: &Path, entropy: &dyn Entropy) -> Result<Self, KekFault> {
        let kek = Self::ephemeral(entropy);
        let folder = path.parent().unwrap_or(Path::new(""));
        let written = private_folder(folder).and_then(|()| private(path)).and_then(|mut file| {
            file.write_all(&*kek.0)?;
            file.sync_all()
        });
        written.map_err(|cause| KekFault::File { path: path.display().to_string(), cause })?;
        Ok(kek)
    }

    /// Reads a KEK file: exactly 32 bytes, for its owner alone.
    pub fn load(path: &Path) -> Result<Self, KekFault> {
        let named = || path.display().to_string();
        let fault = |cause| KekFault::File { path: named(), cause };
        let mode = fs::metadata(path).map_err(fault)?;
        if is_open_to_others(&mode) {
            return Err(KekFault::Mode(named()));
        }
        let mut content = fs::read(path).map_err(fault)?;
        let kek = <[u8; LENGTH]>::try_from(content.as_slice()).map(Self::from_bytes);
        content.zeroize();
        kek.map_err(|_| KekFault::Length(named()))
    }

    /// Seals `plain` under `name`.
    ///
    /// The nonce is random; a KEK seals keys, far fewer than 2^32 of them.
    pub fn seal(&self, name: BlobName, plain: &[u8], entropy: &dyn Entropy) -> SealedBlob {
        let sealed = self.sealing(SEALING).seal(name.as_str(), plain, entropy);
        SealedBlob { name, sealed }
    }

    /// Opens a blob, if this KEK sealed it under its name.
    pub fn open(&self, blob: &SealedBlob) -> Result<Zeroizing<Vec<u8>>, KekFault> {
        let opened = self.sealing(SEALING).open(blob.name.as_str(), &blob.sealed);
        opened.ok_or_else(|| KekFault::Sealed(blob.name.clone()))
    }

    /// The key that seals what was answered.
    pub(in crate::journal) fn of_answers(&self) -> SealingKey {
        self.sealing(ANSWERS)
    }

    /// The key that seals records that all nodes see.
    pub fn of_records(&self) -> SealingKey {
        self.sealing(RECORDS)
    }

    /// The key that seals data keys.
    pub(in crate::journal) fn of_data_keys(&self) -> SealingKey {
        self.sealing(DATA_KEYS)
    }

    /// Derives a secret for one label by HKDF-SHA256 (RFC 5869). It tells nothing of other labels.
    pub fn derive(&self, label: &str) -> Zeroizing<[u8; LENGTH]> {
        let salt = hkdf::Salt::new(hkdf::HKDF_SHA256, b"carnet/v1");
        let mut derived = Zeroizing::new([0; LENGTH]);
        salt.extract(&*self.0)
            .expand(&[label.as_bytes()], hkdf::HKDF_SHA256)
            .and_then(|okm| okm.fill(&mut *derived))
            // Invariant: HKDF-SHA256 gives 32 bytes for its own length of 32.
            .expect("32 bytes are what HKDF-SHA256 was asked for");
        derived
    }

    fn sealing(&self, label: &str) -> SealingKey {
        SealingKey::of(&self.derive(label))
    }
}

impl SealingKey {
    /// Of these bytes.
    pub(in crate::journal) fn of(bytes: &[u8; LENGTH]) -> Self {
        // Invariant: there are the 32 bytes of AES-256.
        Self(LessSafeKey::new(UnboundKey::new(&AES_256_GCM, bytes).expect("32 bytes are an AES-256 key")))
    }

    /// Seals `plain` under `name`: nonce, ciphertext and tag.
    ///
    /// The nonce is random, which is safe for fewer than 2^32 of them.
    pub fn seal(&self, name: &str, plain: &[u8], entropy: &dyn Entropy) -> Vec<u8> {
        let mut nonce = [0; NONCE_LEN];
        entropy.fill(&mut nonce);
        let mut sealed = plain.to_vec();
        self.0
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(name), &mut sealed)
            // Invariant: AES-256-GCM fails only beyond 64 GiB, and nothing of ours comes near.
            .expect("what is sealed is shorter than 64 GiB");
        [&nonce[..], &sealed].concat()
    }

    /// Opens what this key sealed under `name`; nothing else.
    pub fn open(&self, name: &str, sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let (nonce, sealed) = sealed.split_first_chunk::<NONCE_LEN>()?;
        let mut plain = Zeroizing::new(sealed.to_vec());
        let opened = self.0.open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::from(name), &mut plain);
        let length = opened.ok()?.len();
        plain.truncate(length);
        Some(plain)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::fixture::Seeded;

    fn name(kid: &str) -> BlobName {
        BlobName::new(&"production".parse().expect("name"), "signing", &kid.parse().expect("kid"))
    }

    #[test]
    fn a_blob_opens_with_its_kek_under_its_name_and_else_not() {
        let entropy = Seeded::new(1);
        let kek = Kek::from_bytes([7; 32]);
        let blob = kek.seal(name("k1"), b"private half", &entropy);
        assert_eq!(kek.open(&blob).expect("opens").as_slice(), b"private half");
        assert!(!blob.sealed.windows(7).any(|bytes| bytes == b"private"));

        let moved = SealedBlob { name: name("k2"), ..blob.clone() };
        assert!(matches!(kek.open(&moved), Err(KekFault::Sealed(_))));
        assert!(matches!(Kek::from_bytes([8; 32]).open(&blob), Err(KekFault::Sealed(_))));
        for at in 0..blob.sealed.len() {
            let mut bent = blob.clone();
            bent.sealed[at] ^= 1;
            assert!(kek.open(&bent).is_err(), "byte {at}");
        }
        assert!(kek.open(&SealedBlob { sealed: vec![0; 11], ..blob }).is_err());
    }

    #[test]
    fn labels_derive_secrets_of_their_own() {
        let kek = Kek::from_bytes([7; 32]);
        assert_ne!(*kek.derive("a"), *kek.derive("b"));
        assert_eq!(*kek.derive("a"), *kek.derive("a"));
    }

    #[cfg(unix)]
    #[test]
    fn a_kek_file_is_made_once_and_read_only_when_closed_to_others() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().expect("dir");
        let path = dir.path().join("kek");
        let made = Kek::create(&path, &Seeded::new(1)).expect("made");
        assert_eq!(*Kek::load(&path).expect("loads").derive("x"), *made.derive("x"));
        assert!(matches!(Kek::create(&path, &Seeded::new(2)), Err(KekFault::File { .. })));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).expect("mode");
        assert!(matches!(Kek::load(&path), Err(KekFault::Mode(_))));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("mode");
        fs::write(&path, [1; 33]).expect("write");
        assert!(matches!(Kek::load(&path), Err(KekFault::Length(_))));
    }
}
