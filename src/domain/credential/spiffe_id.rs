//! The name in a certificate, by which it names one integration.

use std::fmt;
use std::str::FromStr;

use crate::domain::value::names::{IntegrationId, InvalidName, TrustDomain};

/// The name in a certificate: `spiffe://TRUST-DOMAIN/PARTNER/INTEGRATION` (SPIFFE-ID section 2).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SpiffeId {
    /// The environment's trust domain.
    pub trust_domain: TrustDomain,
    /// The integration that it names.
    pub integration: IntegrationId,
}

impl SpiffeId {
    /// The name of an integration in an environment.
    pub fn of(trust_domain: &TrustDomain, integration: &IntegrationId) -> Self {
        Self { trust_domain: trust_domain.clone(), integration: integration.clone() }
    }
}

impl FromStr for SpiffeId {
    type Err = InvalidName;

    /// Parses byte for byte.
    /// Nothing is decoded or lower-cased, so another spelling is another name (ABUSE M-10).
    fn from_str(text: &str) -> Result<Self, InvalidName> {
        const EXPECTED: InvalidName = InvalidName("expected spiffe://TRUST-DOMAIN/PARTNER/INTEGRATION");
        let (trust_domain, path) = text.strip_prefix("spiffe://").and_then(|rest| rest.split_once('/')).ok_or(EXPECTED)?;
        Ok(Self { trust_domain: trust_domain.parse()?, integration: path.parse()? })
    }
}

impl fmt::Display for SpiffeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "spiffe://{}/{}", self.trust_domain, self.integration)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// M-10: another spelling is another name, and not one of ours.
    #[test]
    fn m_10_spiffe_ids_are_compared_byte_for_byte() {
        let good = "spiffe://production.partners.acme.example/globex/order-sync";
        assert_eq!(good.parse::<SpiffeId>().expect("a name").to_string(), good);
        for bad in [
            "spiffe://production.partners.acme.example/globex",
            "spiffe://production.partners.acme.example/globex/order-sync/",
            "spiffe://production.partners.acme.example/globex/order-sync/x",
            "spiffe://production.partners.acme.example/globex/../order-sync",
            "spiffe://production.partners.acme.example/globex/order%2esync",
            "spiffe://production.partners.acme.example/Globex/order-sync",
            "spiffe://Production.partners.acme.example/globex/order-sync",
            "spiffe://production.partners.acme.example:443/globex/order-sync",
            "spiffe://user@production.partners.acme.example/globex/order-sync",
            "spiffe://production.partners.acme.example/globex/order-sync?x",
            "spiffe://production.partners.acme.example/globex/order-sync\0",
            "spiffe://production.partners.acme.example/api/order-sync",
            "SPIFFE://production.partners.acme.example/globex/order-sync",
            "https://production.partners.acme.example/globex/order-sync",
            "spiffe:///globex/order-sync",
            "",
        ] {
            assert!(bad.parse::<SpiffeId>().is_err(), "{bad:?}");
        }
    }
}
