//! Published documents, made once for each state and second.
//!
//! Each document is a function of the state and of the second: the ladder of keys and the ends of authorities are. So the bytes that
//! were made for the same state in the same second are the very bytes that would be made now, and nothing stale is ever served.

use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Bytes;
use serde_json::Value;

use crate::domain::value::clock::Timestamp;
use crate::http::cached;
use crate::journal::View;

/// The documents of one environment.
#[derive(Debug, Default)]
pub struct Documents {
    /// `oauth-authorization-server`.
    pub oauth: Prepared,
    /// `openid-configuration`.
    pub openid: Prepared,
    /// `I/jwks`.
    pub keys: Prepared,
    /// `I/jwks/ed25519`.
    pub edwards_keys: Prepared,
    /// `I/bundle`.
    pub bundle: Prepared,
}

/// One document as it was last made.
#[derive(Debug, Default)]
pub struct Prepared(Mutex<Option<Made>>);

#[derive(Debug)]
struct Made {
    /// The last change of the state that it was made of.
    seen: Option<u64>,
    second: Timestamp,
    document: Arc<Document>,
}

/// The bytes of a document, with their tag.
#[derive(Debug)]
pub struct Document {
    /// The bytes.
    pub body: Bytes,
    /// Their strong tag.
    pub tag: String,
}

impl Prepared {
    /// The document at `second`; `make` makes it, if this state and this second have none yet.
    pub fn of(&self, view: &View, second: Timestamp, make: impl FnOnce() -> Value) -> Arc<Document> {
        // What is behind the lock is replaced as a whole, so a poisoned one is still good.
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(made) = &*last
            && (made.seen, made.second) == (view.seen, second)
        {
            return Arc::clone(&made.document);
        }
        let body = Bytes::from(make().to_string());
        let document = Arc::new(Document { tag: cached::tag(&body), body });
        *last = Some(Made { seen: view.seen, second, document: Arc::clone(&document) });
        document
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use serde_json::json;

    use super::*;
    use crate::domain::fixture::{at, state};
    use crate::domain::value::digest::Digest;

    /// bytes are kept for one state and one second, in whatever order they come.
    #[test]
    fn q_06_another_state_or_second_has_another_document() {
        let view = |seen| View { state: Arc::new(state()), seen, size: 7, root: Digest::of(b"root"), time: at(0) };
        let (prepared, made) = (Prepared::default(), Cell::new(0));
        let ask = |seen, second| {
            let make = || {
                made.set(made.get() + 1);
                json!({"made": made.get()})
            };
            let document = prepared.of(&view(seen), at(second), make);
            assert_eq!(document.tag, cached::tag(&document.body));
            String::from_utf8(document.body.to_vec()).expect("text")
        };
        let first = ask(Some(3), 10);
        assert_eq!(ask(Some(3), 10), first);
        for (seen, second) in [(Some(4), 10), (Some(3), 11), (Some(3), 10), (None, 10), (Some(3), 9)] {
            let before = made.get();
            assert_ne!(ask(seen, second), first, "{seen:?} {second}");
            assert_eq!((ask(seen, second), made.get()), (json!({"made": before + 1}).to_string(), before + 1));
        }
    }
}
