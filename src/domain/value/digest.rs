//! SHA-256 values that name versions, claims and sealed blobs.

use std::fmt;
use std::io::{self, Write};

use aws_lc_rs::digest;
use serde::{Deserialize, Serialize, Serializer};

use super::hex;

/// A SHA-256 value, shown as 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd, Deserialize)]
#[serde(try_from = "String")]
pub struct Digest(pub [u8; 32]);

/// A SHA-256 value on its way: of whatever is written to it.
pub struct Hasher(digest::Context);

impl Default for Hasher {
    fn default() -> Self {
        Self(digest::Context::new(&digest::SHA256))
    }
}

impl Hasher {
    /// Of all that was written.
    pub fn digest(self) -> Digest {
        Digest::read(self.0.finish())
    }
}

impl Write for Hasher {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Digest {
    /// SHA-256 of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self::read(digest::digest(&digest::SHA256, bytes))
    }

    /// SHA-256 of the parts one after the other. Where parts vary in length the caller puts a separator between them.
    pub fn of_parts(parts: &[&[u8]]) -> Self {
        // A context is an object of aws-lc's, made and freed: dearer than the hash of what fits here.
        let mut small = [0; 1024];
        let mut length = 0;
        for part in parts {
            let Some(place) = small.get_mut(length..length + part.len()) else { return Self::of_long(parts) };
            place.copy_from_slice(part);
            length += part.len();
        }
        Self::of(&small[..length])
    }

    fn of_long(parts: &[&[u8]]) -> Self {
        let mut hasher = Hasher::default();
        parts.iter().for_each(|part| hasher.0.update(part));
        hasher.digest()
    }

    fn read(digest: digest::Digest) -> Self {
        let mut value = [0; 32];
        value.copy_from_slice(digest.as_ref());
        Self(value)
    }

    /// The digest of a value's JSON form. Field order is the type's, maps are ordered, so equal values have equal digests.
    pub fn of_json<T: Serialize>(value: &T) -> Self {
        // Invariant: the domain's records serialise to JSON (no map with a key that is not a string, no failing impl).
        Self::of(&serde_json::to_vec(value).expect("a record of the domain is JSON"))
    }
}

impl TryFrom<String> for Digest {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        hex::decode_32(&text).map(Self).ok_or("expected 64 hexadecimal digits")
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(hex::encode_32(&self.0, &mut [0; 64]))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(hex::encode_32(&self.0, &mut [0; 64]))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// FIPS 180-4's example, and parts on both sides of what fits on the stack.
    #[test]
    fn parts_are_hashed_as_one() {
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(Digest::of(b"abc").to_string(), abc);
        assert_eq!(Digest::of_parts(&[b"a", b"", b"bc"]).to_string(), abc);
        for length in [0, 1, 1021, 1022, 1023, 1024, 5000] {
            let long: Vec<u8> = (0..length).map(|n: u16| n.to_le_bytes()[0]).collect();
            let whole = [&[7], &long[..], &[8]].concat();
            assert_eq!(Digest::of_parts(&[&[7], &long, &[8]]), Digest::of(&whole), "{length}");
        }
    }
}
