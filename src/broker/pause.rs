//! The pause before mail or an event is sent again: it doubles with every failure, up to five minutes.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(200);
const LONGEST: Duration = Duration::from_secs(300);

/// The next pause of something that fails.
#[derive(Debug)]
pub struct Pause(Duration);

impl Default for Pause {
    fn default() -> Self {
        Self(FIRST)
    }
}

impl Pause {
    /// Takes the next pause.
    pub fn take(&mut self) -> Duration {
        let longer = (self.0 * 2).min(LONGEST);
        std::mem::replace(&mut self.0, longer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_doubles_up_to_five_minutes() {
        let mut pause = Pause::default();
        let taken: Vec<u128> = (0..13).map(|_| pause.take().as_millis()).collect();
        assert_eq!(taken[..4], [200, 400, 800, 1600]);
        assert_eq!(taken[10..], [204_800, 300_000, 300_000]);
    }
}
