//! Source networks: `203.0.113.0/24`, `2001:db8::/32`.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// An IP network. IPv4-mapped IPv6 addresses count as IPv4.
#[derive(Clone, Copy, Eq, Hash, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Cidr {
    address: IpAddr,
    length: u8,
}

impl Cidr {
    /// Whether `address` lies in the network.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(net), IpAddr::V4(ip)) => {
                masked(u128::from(net.to_bits()) << 96, self.length) == masked(u128::from(ip.to_bits()) << 96, self.length)
            }
            (IpAddr::V6(net), IpAddr::V6(ip)) => masked(net.to_bits(), self.length) == masked(ip.to_bits(), self.length),
            _ => false,
        }
    }

    /// Its first and its last address.
    pub fn bounds(&self) -> (IpAddr, IpAddr) {
        let last = match self.address {
            IpAddr::V4(ip) => {
                IpAddr::from((ip.to_bits() | u32::MAX.checked_shr(u32::from(self.length)).unwrap_or(0)).to_be_bytes())
            }
            IpAddr::V6(ip) => {
                IpAddr::from((ip.to_bits() | u128::MAX.checked_shr(u32::from(self.length)).unwrap_or(0)).to_be_bytes())
            }
        };
        (self.address, last)
    }

    /// Whether every address of this network lies in `other`.
    pub fn is_within(&self, other: &Self) -> bool {
        self.length >= other.length && other.contains(self.address)
    }
}

fn masked(bits: u128, length: u8) -> u128 {
    if length == 0 { 0 } else { bits >> (128 - u32::from(length)) }
}

impl FromStr for Cidr {
    type Err = &'static str;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const EXPECTED: &str = "expected a network such as 203.0.113.0/24, without host bits";
        let (address, length) = text.split_once('/').ok_or(EXPECTED)?;
        let address: IpAddr = address.parse().map_err(|_| EXPECTED)?;
        if length.is_empty() || length.len() > 3 || !length.bytes().all(|b| b.is_ascii_digit()) {
            return Err(EXPECTED);
        }
        let length: u8 = length.parse().map_err(|_| EXPECTED)?;
        let (bits, most) = match address {
            IpAddr::V4(ip) => (u128::from(ip.to_bits()) << 96, 32),
            IpAddr::V6(ip) => (ip.to_bits(), 128),
        };
        let host_bits = if length >= 128 { 0 } else { bits << length };
        if length > most || host_bits != 0 || address.to_canonical() != address {
            return Err(EXPECTED);
        }
        Ok(Self { address, length })
    }
}

impl TryFrom<String> for Cidr {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Cidr> for String {
    fn from(cidr: Cidr) -> String {
        cidr.to_string()
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.length)
    }
}

impl fmt::Debug for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_hold_their_addresses_and_no_others() {
        let net: Cidr = "203.0.113.0/24".parse().expect("a network");
        let inside: [IpAddr; 2] = ["203.0.113.9".parse().expect("ip"), "::ffff:203.0.113.9".parse().expect("ip")];
        assert!(inside.iter().all(|ip| net.contains(*ip)));
        assert!(!net.contains("203.0.114.1".parse().expect("ip")));
        assert!(!net.contains("::1".parse().expect("ip")));
        let bounds = |text: &str| {
            let (first, last) = text.parse::<Cidr>().expect("a network").bounds();
            format!("{first} {last}")
        };
        assert_eq!(bounds("203.0.113.0/24"), "203.0.113.0 203.0.113.255");
        assert_eq!(bounds("203.0.113.9/32"), "203.0.113.9 203.0.113.9");
        assert_eq!(bounds("0.0.0.0/0"), "0.0.0.0 255.255.255.255");
        assert_eq!(bounds("2001:db8::/127"), "2001:db8:: 2001:db8::1");
        assert!("0.0.0.0/0".parse::<Cidr>().expect("a network").contains(inside[0]));
        for bad in ["203.0.113.1/24", "1.2.3.4", "1.2.3.4/33", "1.2.3.0/+24", "x/8", "::ffff:1.2.3.4/128", "01.2.3.4/32"] {
            assert!(bad.parse::<Cidr>().is_err(), "{bad}");
        }
    }
}
