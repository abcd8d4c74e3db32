//! The one form of an ECDSA signature on P-256 that a token of ours has.
//!
//! Where (r, s) verifies, (r, n − s) verifies as well, so every ES256 signature has a twin that anybody can compute. A token with the
//! twin is another text for the same claims: it would pass as live wherever texts are compared, counted or cached. Our signer therefore
//! releases the lower of the two values ([`lower`]), and whatever takes our tokens back refuses the higher one ([`is_low`]). JWS itself
//! (RFC 7518 section 3.4) takes both, so proofs of partners are not judged by this.

/// The order n of the group (SEC 2 section 2.4.2), big-endian.
const ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa, 0xad,
    0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];

/// n / 2, rounded down: the largest s that counts as low.
const HALF: [u8; 32] = [
    0x7f, 0xff, 0xff, 0xff, 0x80, 0x00, 0x00, 0x00, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xde, 0x73, 0x7d, 0x56,
    0xd3, 0x8b, 0xcf, 0x42, 0x79, 0xdc, 0xe5, 0x61, 0x7e, 0x31, 0x92, 0xa8,
];

/// Whether `signature` (r and s of 32 bytes each, RFC 7518 section 3.4) has the lower of the two values for s.
///
/// Both halves are public, so the comparison need not take constant time.
pub(crate) fn is_low(signature: &[u8]) -> bool {
    signature.len() == 64 && signature[32..] <= HALF[..]
}

/// Puts the lower of the two values for s into a signature that verifies; nothing for any other length or an s outside of 1 to n − 1.
#[cfg_attr(not(feature = "broker"), expect(dead_code, reason = "only the broker signs"))]
pub(crate) fn lower(signature: &[u8]) -> Option<[u8; 64]> {
    let mut lowered: [u8; 64] = signature.try_into().ok()?;
    if lowered[32..] >= ORDER[..] || lowered[32..].iter().all(|byte| *byte == 0) {
        return None;
    }
    if !is_low(&lowered) {
        subtract_from_order(&mut lowered[32..]);
    }
    Some(lowered)
}

/// Puts n − s in the place of an s below n, byte by byte from the last.
fn subtract_from_order(s: &mut [u8]) {
    let mut borrowed = false;
    for (byte, of_order) in s.iter_mut().zip(ORDER).rev() {
        let (difference, below) = of_order.overflowing_sub(*byte);
        let (difference, further) = difference.overflowing_sub(u8::from(borrowed));
        (*byte, borrowed) = (difference, below || further);
    }
}

/// The other signature that verifies where `signature` does.
#[cfg(test)]
pub(crate) fn twin(signature: &[u8]) -> [u8; 64] {
    let mut twin: [u8; 64] = signature.try_into().expect("a signature");
    subtract_from_order(&mut twin[32..]);
    twin
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(s: [u8; 32]) -> [u8; 64] {
        let mut signature = [7; 64];
        signature[32..].copy_from_slice(&s);
        signature
    }

    /// `value` and a small number added.
    fn plus(mut value: [u8; 32], by: i16) -> [u8; 32] {
        let last = i16::from(value[31]) + by;
        value[31] = u8::try_from(last).expect("the constants end far enough from 0 and 255");
        value
    }

    #[test]
    fn the_edges_of_the_range() {
        let mut one = [0; 32];
        one[31] = 1;
        for (s, low) in [(one, one), (HALF, HALF), (plus(HALF, 1), HALF), (plus(ORDER, -1), one)] {
            assert_eq!(lower(&with(s)), Some(with(low)), "{s:x?}");
            assert_eq!(is_low(&with(s)), s == low, "{s:x?}");
        }
        for bad in [ORDER, plus(ORDER, 1), [0xff; 32], [0; 32]] {
            assert_eq!(lower(&with(bad)), None, "{bad:x?}");
        }
        for length in [0, 32, 63, 65, 70] {
            assert!(lower(&vec![1; length]).is_none() && !is_low(&vec![1; length]), "{length}");
        }
    }

    /// Half of all signatures come out high: their low twin verifies as they do, and lowering twice changes nothing.
    #[test]
    fn the_low_twin_verifies() {
        use aws_lc_rs::rand::SystemRandom;
        use aws_lc_rs::signature::{
            ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, UnparsedPublicKey,
        };
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key");
        let public = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, pair.public_key().as_ref());
        let mut high = 0;
        for n in 0_u32..64 {
            let message = n.to_be_bytes();
            let signature = pair.sign(&SystemRandom::new(), &message).expect("signed");
            high += u32::from(!is_low(signature.as_ref()));
            let lowered = lower(signature.as_ref()).expect("a signature");
            assert!(is_low(&lowered) && lower(&lowered) == Some(lowered));
            public.verify(&message, &lowered).expect("the low twin verifies");
        }
        assert!((1..64).contains(&high), "{high} of 64 were high");
    }
}
