//! Limits the number of connections, in all and from one address (ABUSE D-10, D-21).

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::domain::value::network::Cidr;

/// Counts the connections of each address.
pub(super) struct AddressCounts {
    most: usize,
    uncounted: Vec<Cidr>,
    counts: Mutex<HashMap<IpAddr, usize>>,
}

/// One counted connection. Dropping it frees the place.
pub(super) struct Place {
    counts: Arc<AddressCounts>,
    origin: Option<IpAddr>,
}

impl AddressCounts {
    pub(super) fn new(most: usize, uncounted: Vec<Cidr>) -> Arc<Self> {
        Arc::new(Self { most, uncounted, counts: Mutex::default() })
    }

    /// A place for one more connection of `address`; `None` if the address has its share.
    pub(super) fn take(self: &Arc<Self>, address: IpAddr) -> Option<Place> {
        if self.uncounted.iter().any(|network| network.contains(address)) {
            return Some(Place { counts: self.clone(), origin: None });
        }
        let origin = origin(address);
        let mut counts = self.counts();
        let count = counts.entry(origin).or_insert(0);
        if *count >= self.most {
            return None;
        }
        *count += 1;
        Some(Place { counts: self.clone(), origin: Some(origin) })
    }

    fn counts(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some(origin) = self.origin else { return };
        let mut counts = self.counts.counts();
        if let Some(count) = counts.get_mut(&origin) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                counts.remove(&origin);
            }
        }
    }
}

/// The address that is counted: for IPv6 the /64.
///
/// The holder of one address has that whole network.
fn origin(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn d_10_one_address_has_its_share_and_gives_it_back() {
        let counts = AddressCounts::new(2, vec!["10.0.0.0/8".parse().expect("a network")]);
        let ip = |text: &str| text.parse::<IpAddr>().expect("an address");
        let first = counts.take(ip("2001:db8::1")).expect("the first");
        let _second = counts.take(ip("2001:db8::2")).expect("the second of the same /64");
        assert!(counts.take(ip("2001:db8::3")).is_none());
        assert!(counts.take(ip("203.0.113.1")).is_some(), "another address");
        drop(first);
        assert!(counts.take(ip("2001:db8::3")).is_some());
        let proxy: Vec<_> = (0..9).map(|_| counts.take(ip("10.1.1.1"))).collect();
        assert!(proxy.iter().all(Option::is_some));
        assert_eq!(counts.counts().len(), 1, "nothing is kept of addresses without a connection");
    }
}
