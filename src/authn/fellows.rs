//! What the nodes of an installation share of the key sets that they fetch, so that several nodes ask an issuer no oftener than one.
//!
//! Whoever implements [`Fellows`] knows where that lies; the rules are in [`load`] and in `keys`. A node that has usable keys of a source asks for newer
//! ones only if no node asked within the floor, and otherwise takes over what the other one was told. A node that has none asks for itself: it
//! cannot verify anything else, and strangers cannot bring it about. Where nobody can say who asked, each node keeps its own floor.

use std::pin::Pin;
use std::sync::Arc;

use super::discovery::{self, Attempt, KeysFault};
use super::jwks::KeySet;
use crate::domain::registry::binding::KeySource;
use crate::domain::value::clock::{Clock, Timestamp};
use crate::outbound::Outbound;

/// An answer of [`Fellows`].
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The other nodes.
pub trait Fellows: Send + Sync {
    /// Takes the turn to ask a source, unless another node asked it within the floor.
    fn turn<'a>(&'a self, source: &'a KeySource) -> Answer<'a, Turn>;

    /// Gives the turn back: the source was not asked for its keys.
    fn give_back<'a>(&'a self, source: &'a KeySource) -> Answer<'a, ()>;

    /// Tells the others what the source answered.
    fn tell<'a>(&'a self, source: &'a KeySource, told: &'a Told) -> Answer<'a, ()>;
}

/// Whose turn it is.
pub enum Turn {
    /// Ours, or nobody can say.
    Ours,
    /// Another node had it, and was told this, if it was told something that can be passed on.
    Others(Option<Told>),
}

/// The body of a key set, and when it was fetched.
pub struct Told {
    /// The body.
    pub body: String,
    /// When it was fetched.
    pub at: Timestamp,
}

/// The outcome of a load.
pub(super) struct Loaded {
    pub outcome: Result<Arc<KeySet>, KeysFault>,
    /// Whether the issuer may have seen a request for its key set, ours or another node's.
    pub asked_for_keys: bool,
    /// When it was fetched; `None`: the keys that are here stay.
    pub fetched: Option<Timestamp>,
}

/// Asks the source, or takes over what another node was told within the floor.
///
/// `usable` is what is here, and when it was fetched.
pub(super) async fn load(
    (outbound, clock, fellows): (&Outbound, &dyn Clock, Option<&dyn Fellows>),
    source: &KeySource,
    usable: Option<(Arc<KeySet>, Timestamp)>,
) -> Loaded {
    let own = |attempt: Attempt| Loaded {
        outcome: attempt.outcome.map(Arc::new),
        asked_for_keys: attempt.asked_for_keys,
        fetched: Some(clock.now()),
    };
    let Some(fellows) = fellows.filter(|_| !source.is_inline()) else {
        return own(discovery::load(outbound, source).await);
    };
    match (fellows.turn(source).await, usable) {
        (Turn::Others(Some(Told { body, at })), usable) if usable.as_ref().is_none_or(|(_, fetched)| *fetched <= at) => {
            let outcome = discovery::read(source, &body).map(Arc::new);
            Loaded { outcome, asked_for_keys: true, fetched: Some(at) }
        }
        // It asks at this moment, or was told nothing: what is here stays, and is as old as it was.
        (Turn::Others(_), Some((set, _))) => Loaded { outcome: Ok(set), asked_for_keys: false, fetched: None },
        (Turn::Ours, _) => {
            let attempt = discovery::load(outbound, source).await;
            pass_on(fellows, source, (&attempt, clock.now())).await;
            own(attempt)
        }
        (Turn::Others(_), None) => own(discovery::load(outbound, source).await),
    }
}

async fn pass_on(fellows: &dyn Fellows, source: &KeySource, (attempt, at): (&Attempt, Timestamp)) {
    match attempt.body.as_ref().and_then(|body| std::str::from_utf8(body).ok()) {
        Some(body) => fellows.tell(source, &Told { body: body.to_owned(), at }).await,
        None if !attempt.asked_for_keys => fellows.give_back(source).await,
        None => {}
    }
}
