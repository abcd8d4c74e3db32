//! Resolves names to vetted addresses; a connection goes only to those (ABUSE K-11).
//!
//! The HTTP client resolves once per connection and connects to exactly these addresses, so a name that changes between check
//! and use gains nothing. Literal addresses never come here: `origin` judges them.

use std::net::SocketAddr;
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::address::is_public;

/// The system's resolver.
pub(super) struct System;

/// A resolver that accepts an answer only if all its addresses are public.
///
/// A name that mixes addresses is an attempt to have us connect to an internal one, and chance would decide which address we use.
pub(super) struct Vetted<R>(Arc<R>);

impl<R> Vetted<R> {
    pub(super) fn new(inner: R) -> Self {
        Self(Arc::new(inner))
    }
}

impl Resolve for System {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            // Port 0: the client sets the URL's.
            let addresses: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

impl<R: Resolve + 'static> Resolve for Vetted<R> {
    fn resolve(&self, name: Name) -> Resolving {
        let inner = self.0.clone();
        Box::pin(async move {
            let vetted: Vec<_> = inner.resolve(name).await?.collect();
            if vetted.is_empty() || !vetted.iter().all(|address| is_public(address.ip())) {
                return Err("no address, or one that is not public".into());
            }
            Ok(Box::new(vetted.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// A name server whose answers change from query to query.
    struct Rebinding(AtomicUsize, Vec<Vec<&'static str>>);

    impl Resolve for Rebinding {
        fn resolve(&self, _: Name) -> Resolving {
            let turn = self.0.fetch_add(1, Ordering::SeqCst);
            let answer: Vec<SocketAddr> = self.1[turn].iter().map(|ip| SocketAddr::new(ip.parse().expect("ip"), 0)).collect();
            Box::pin(async move { Ok(Box::new(answer.into_iter()) as Addrs) })
        }
    }

    async fn ask(resolver: &impl Resolve) -> Option<Vec<String>> {
        let answer = resolver.resolve("idp.example".parse().expect("a name")).await.ok()?;
        Some(answer.map(|address| address.ip().to_string()).collect())
    }

    #[tokio::test]
    async fn k_11_a_name_that_rebinds_to_loopback_is_not_connected() {
        let answers = vec![vec!["8.8.8.8"], vec!["127.0.0.1"], vec!["8.8.8.8", "2606:4700::1111"], vec!["::ffff:127.0.0.1"]];
        let resolver = Vetted::new(Rebinding(AtomicUsize::new(0), answers));
        assert_eq!(ask(&resolver).await, Some(vec!["8.8.8.8".into()]));
        assert_eq!(ask(&resolver).await, None);
        assert_eq!(ask(&resolver).await, Some(vec!["8.8.8.8".into(), "2606:4700::1111".into()]));
        assert_eq!(ask(&resolver).await, None);
    }

    /// One address that is not allowed refuses the whole answer, at any place and however mapped.
    #[tokio::test]
    async fn k_11_an_answer_that_mixes_public_and_private_addresses_is_refused() {
        let mixed: Vec<Vec<&str>> = vec![
            vec!["10.0.0.1", "8.8.4.4"],
            vec!["8.8.4.4", "10.0.0.1"],
            vec!["8.8.4.4", "8.8.8.8", "169.254.169.254"],
            vec!["2606:4700::1111", "::ffff:127.0.0.1"],
            vec!["8.8.8.8", "::ffff:8.8.8.8"],
            vec!["8.8.8.8", "64:ff9b::a00:1"],
            vec!["8.8.8.8", "fd00::1"],
            vec![],
        ];
        let count = mixed.len();
        let resolver = Vetted::new(Rebinding(AtomicUsize::new(0), mixed.clone()));
        for answer in mixed.iter().take(count) {
            assert_eq!(ask(&resolver).await, None, "{answer:?}");
        }
    }
}
