//! The real clock and the real entropy: the only ambient time and randomness of the house (STYLE.md 14).

use std::cell::RefCell;
use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::rand;

use crate::domain::clock::{Clock, Entropy, Timestamp};

/// The operating system's wall clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    /// A clock set before 1970 reads 1970: every token and record is then in its future, and is refused.
    fn now(&self) -> Timestamp {
        #[expect(clippy::disallowed_methods, reason = "this is the Clock that `server` makes")]
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_secs()).ok().and_then(Timestamp::from_seconds).unwrap_or(Timestamp::MAX)
    }
}

/// The operating system's randomness, by way of aws-lc-rs.
///
/// An identifier is sixteen bytes, and a call of aws-lc costs as much for them as for a thousand: it brings its own state forward each
/// time. So each thread draws identifiers from a [`Stock`]; what is longer, such as the seed of a key, is drawn by itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct OsEntropy;

impl Entropy for OsEntropy {
    fn fill(&self, bytes: &mut [u8]) {
        if bytes.len() > IDENTIFIER || !STOCK.with_borrow_mut(|stock| stock.take(bytes)) {
            draw(bytes);
        }
    }
}

/// Bytes of an identifier.
const IDENTIFIER: usize = 16;

/// Random bytes that nobody has seen, of one thread. Each is given once, and is gone from here then.
struct Stock {
    bytes: [u8; 32 * IDENTIFIER],
    left: usize,
}

thread_local! {
    static STOCK: RefCell<Stock> = const { RefCell::new(Stock { bytes: [0; 32 * IDENTIFIER], left: 0 }) };
}

impl Stock {
    /// Fills `bytes`, no more than an [`IDENTIFIER`]. It draws anew when there are not enough; `false`: it gave nothing.
    fn take(&mut self, bytes: &mut [u8]) -> bool {
        if self.left < bytes.len() {
            draw(&mut self.bytes);
            self.left = self.bytes.len();
        }
        let from = self.left.saturating_sub(bytes.len());
        let Some(given) = self.bytes.get_mut(from..self.left).filter(|given| given.len() == bytes.len()) else { return false };
        bytes.copy_from_slice(given);
        given.fill(0);
        self.left = from;
        true
    }
}

fn draw(bytes: &mut [u8]) {
    // aws-lc seeds itself from the kernel at start; it fails only where the kernel has no entropy source at all.
    // Nothing may be made then: an identifier that can be guessed is worse than no answer.
    rand::fill(bytes).expect("the operating system gives randomness");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_is_past_the_day_it_was_written_and_identifiers_differ() {
        assert!(SystemClock.now().as_seconds() > 1_700_000_000);
        let entropy: &dyn Entropy = &OsEntropy;
        let (one, two) = (entropy.identifier(), entropy.identifier());
        assert_eq!(one.len(), 22);
        assert_ne!(one, two);
    }

    /// Whatever is asked for, and however often the stock is drawn anew, nothing is given twice and all of it is filled.
    #[test]
    fn no_randomness_is_given_twice() {
        let mut given = std::collections::HashSet::new();
        for length in [16, 12, 8, 16, 17, 64].into_iter().cycle().take(600) {
            let mut bytes = vec![0; length];
            OsEntropy.fill(&mut bytes);
            // Eight zeros in a row come once in 2^64.
            assert!(bytes.windows(8).all(|window| window != [0; 8]), "{length}");
            assert!(bytes.windows(8).all(|window| given.insert(window.to_vec())), "{length}");
        }
        let (mut other, mut own) = ([0; 16], [0; 16]);
        std::thread::scope(|scope| scope.spawn(|| OsEntropy.fill(&mut other)).join()).expect("a thread");
        OsEntropy.fill(&mut own);
        assert_ne!(other, own);
        STOCK.with_borrow(|stock| assert!(stock.bytes[stock.left..].iter().all(|byte| *byte == 0), "what was given is gone"));
    }
}
