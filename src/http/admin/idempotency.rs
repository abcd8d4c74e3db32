//! `Idempotency-Key`: what is sent twice is done once, and answered twice (CONTRACT.md section 6).
//!
//! Enter through [`Answers::once`]. A key belongs to one person on one route for 24 hours. Only what was done is kept: a refusal
//! changed nothing, so the same key may try again. Two requests with one key at one time queue up; the second finds the answer
//! of the first. What is kept lies in memory: a restart forgets it, as does a person who sends more than [`MOST`] keys or
//! [`MOST_BYTES`] of answers, oldest first. Nobody can push out the answers of somebody else.

use std::collections::{HashMap, VecDeque};
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::body::{Body, Bytes};
use axum::http::{Extensions, HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};

use super::problem::Problem;
use crate::domain::actor::Staff;
use crate::domain::clock::{Seconds, Timestamp};
use crate::domain::digest::Digest;
use crate::domain::reason;

/// The header.
pub const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// How long an answer is repeated.
const KEPT: Seconds = Seconds::hours(24);
/// Keys of one person that are remembered.
const MOST: usize = 1024;
/// Bytes of answers of one person that are remembered.
const MOST_BYTES: usize = 4 * 1024 * 1024;

/// One request, as far as a repetition must be the same.
pub struct Asked {
    person: Digest,
    key: Digest,
    content: Digest,
}

/// What was answered to whom.
#[derive(Default)]
pub struct Answers {
    people: Mutex<HashMap<Digest, VecDeque<Slot>>>,
}

/// The answer to one key. Whoever holds the lock is doing it.
struct Slot {
    key: Digest,
    since: Timestamp,
    bytes: usize,
    answer: Arc<tokio::sync::Mutex<Option<Done>>>,
}

struct Done {
    content: Digest,
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Asked {
    /// The request of `staff`, if it has a key. Roles are part of what must be the same: an answer that was given to somebody who
    /// might have it is not repeated to the same person without that role.
    pub fn of(staff: &Staff, path: &str, headers: &HeaderMap, body: &[u8]) -> Result<Option<Self>, Problem> {
        let mut keys = headers.get_all(IDEMPOTENCY_KEY).iter();
        let Some(key) = keys.next() else { return Ok(None) };
        let sound = (1..=255).contains(&key.len()) && key.as_bytes().iter().all(u8::is_ascii_graphic);
        if !sound || keys.next().is_some() {
            return Err(Problem::of(&reason::REQUEST_MALFORMED));
        }
        let sent = |name: HeaderName| headers.get(name).map_or(&[][..], HeaderValue::as_bytes);
        let who = format!("{:?} {}", staff.roles, staff.machine);
        let content = [who.as_bytes(), sent(header::CONTENT_TYPE), sent(header::IF_MATCH), body];
        Ok(Some(Self {
            person: digest(&[staff.person.iss.as_str().as_bytes(), staff.person.id.as_bytes()]),
            key: digest(&[path.as_bytes(), key.as_bytes()]),
            content: digest(&content),
        }))
    }
}

/// Of parts that no other parts have: each begins with its length.
fn digest(parts: &[&[u8]]) -> Digest {
    let lengths: Vec<[u8; 8]> = parts.iter().map(|part| (part.len() as u64).to_be_bytes()).collect();
    let framed: Vec<&[u8]> = lengths.iter().zip(parts).flat_map(|(length, part)| [&length[..], part]).collect();
    Digest::of_parts(&framed)
}

impl Answers {
    /// Does `act` unless it was done; the answer either way.
    pub async fn once(&self, asked: &Asked, now: Timestamp, act: impl Future<Output = Response>) -> Response {
        let slot = self.slot(asked, now);
        let mut answer = slot.lock().await;
        if let Some(done) = answer.as_ref() {
            return if done.content == asked.content {
                done.repeat()
            } else {
                Problem::of(&reason::IDEMPOTENCY_REUSED).into_response()
            };
        }
        let response = act.await;
        if !response.status().is_success() {
            return response;
        }
        let (parts, body) = response.into_parts();
        // Answers of this API are whole values in memory already.
        let Ok(body) = axum::body::to_bytes(body, usize::MAX).await else {
            return Problem::of(&reason::STORE_UNAVAILABLE).into_response();
        };
        let bytes = body.len();
        *answer = Some(Done {
            content: asked.content,
            status: parts.status,
            headers: parts.headers.clone(),
            body: kept(&parts.extensions, &body),
        });
        drop(answer);
        self.keep(asked, &slot, bytes);
        Response::from_parts(parts, Body::from(body))
    }

    fn slot(&self, asked: &Asked, now: Timestamp) -> Arc<tokio::sync::Mutex<Option<Done>>> {
        let mut people = self.people();
        for slots in people.values_mut() {
            while slots.front().is_some_and(|slot| now.since(slot.since) >= KEPT && !slot.is_in_use()) {
                slots.pop_front();
            }
        }
        people.retain(|_, slots| !slots.is_empty());
        let slots = people.entry(asked.person).or_default();
        if let Some(known) = slots.iter().find(|slot| slot.key == asked.key) {
            return Arc::clone(&known.answer);
        }
        let answer = Arc::default();
        slots.push_back(Slot { key: asked.key, since: now, bytes: 0, answer: Arc::clone(&answer) });
        shrink(slots);
        answer
    }

    fn keep(&self, asked: &Asked, done: &Arc<tokio::sync::Mutex<Option<Done>>>, bytes: usize) {
        let mut people = self.people();
        let Some(slots) = people.get_mut(&asked.person) else { return };
        if let Some(slot) = slots.iter_mut().find(|slot| Arc::ptr_eq(&slot.answer, done)) {
            slot.bytes = bytes;
        }
        shrink(slots);
    }

    fn people(&self) -> MutexGuard<'_, HashMap<Digest, VecDeque<Slot>>> {
        self.people.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The member of an answer that is told once: whoever repeats the request gets the answer without it (CONTRACT.md section 6).
#[derive(Clone, Copy)]
pub struct ShownOnce(pub &'static str);

/// The answer as it may be repeated. One that cannot be read as JSON is kept without a body rather than with its secret.
fn kept(extensions: &Extensions, body: &Bytes) -> Bytes {
    let Some(ShownOnce(member)) = extensions.get() else { return body.clone() };
    let Ok(mut answer) = serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(body) else {
        return Bytes::new();
    };
    answer.remove(*member);
    serde_json::Value::Object(answer).to_string().into()
}

/// Forgets the oldest answers beyond the limits; never one that somebody waits for.
fn shrink(slots: &mut VecDeque<Slot>) {
    while slots.len() > MOST || slots.iter().map(|slot| slot.bytes).sum::<usize>() > MOST_BYTES {
        let Some(oldest) = slots.iter().position(|slot| !slot.is_in_use()) else { return };
        slots.remove(oldest);
    }
}

impl Slot {
    fn is_in_use(&self) -> bool {
        Arc::strong_count(&self.answer) > 1
    }
}

impl Done {
    fn repeat(&self) -> Response {
        (self.status, self.headers.clone(), self.body.clone()).into_response()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::domain::actor::{Person, Role};

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds).expect("a time")
    }

    fn asked(person: &str, path: &str, key: &str, body: &str) -> Asked {
        let person = Person { iss: "https://id.example".parse().expect("an issuer"), id: person.to_owned(), name: None };
        let staff = Staff { person, roles: [Role::Owner].into(), machine: false, fresh: true };
        let mut headers = HeaderMap::new();
        headers.insert(IDEMPOTENCY_KEY, HeaderValue::from_str(key).expect("a value"));
        Asked::of(&staff, path, &headers, body.as_bytes()).expect("sound").expect("a key")
    }

    /// Does something each time it is called; tells how often it was.
    async fn act(count: &AtomicUsize, status: StatusCode) -> Response {
        tokio::task::yield_now().await;
        (status, count.fetch_add(1, Ordering::SeqCst).to_string()).into_response()
    }

    #[tokio::test]
    async fn what_is_sent_twice_is_done_once() {
        let (answers, count) = (Answers::default(), AtomicUsize::new(0));
        let one = asked("ann", "/v1/a", "k", "{}");
        let ok = StatusCode::CREATED;
        let once = || answers.once(&one, at(0), act(&count, ok));
        let (first, second, third) = tokio::join!(once(), once(), once());
        for response in [first, second, third, once().await] {
            assert_eq!(response.status(), ok);
            let body = axum::body::to_bytes(response.into_body(), 10).await.expect("a body");
            assert_eq!(body, "0");
        }
        let other = answers.once(&asked("ann", "/v1/a", "k", "{} "), at(0), act(&count, ok)).await;
        assert_eq!(other.status(), StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!(count.load(Ordering::SeqCst), 1);
        for other in [asked("olga", "/v1/a", "k", "{}"), asked("ann", "/v1/b", "k", "{}"), asked("ann", "/v1/a", "l", "{}")] {
            assert_eq!(answers.once(&other, at(0), act(&count, ok)).await.status(), ok);
        }
        assert_eq!(count.load(Ordering::SeqCst), 4);
        answers.once(&one, at(86_399), act(&count, ok)).await;
        assert_eq!(count.load(Ordering::SeqCst), 4);
        answers.once(&one, at(86_400), act(&count, ok)).await;
        assert_eq!(count.load(Ordering::SeqCst), 5);
    }

    #[tokio::test]
    async fn a_refusal_is_not_kept() {
        let (answers, count) = (Answers::default(), AtomicUsize::new(0));
        let one = asked("ann", "/v1/a", "k", "{}");
        for status in [StatusCode::CONFLICT, StatusCode::SERVICE_UNAVAILABLE, StatusCode::OK, StatusCode::OK] {
            assert_eq!(answers.once(&one, at(0), act(&count, status)).await.status(), status);
        }
        assert_eq!(count.load(Ordering::SeqCst), 3);
    }

    #[tokio::test]
    async fn memory_is_bounded_by_person() {
        let answers = Answers::default();
        let large = || async { vec![b'x'; 1024 * 1024].into_response() };
        let ann = asked("ann", "/v1/a", "first", "{}");
        answers.once(&ann, at(0), large()).await;
        for number in 0..MOST + 10 {
            let small = async { "done".into_response() };
            answers.once(&asked("olga", "/v1/a", &number.to_string(), "{}"), at(0), small).await;
        }
        for number in 0..10 {
            answers.once(&asked("sven", "/v1/a", &number.to_string(), "{}"), at(0), large()).await;
        }
        let people = answers.people();
        let held = |person: &str| people[&asked(person, "", "k", "").person].len();
        assert_eq!((held("ann"), held("olga"), held("sven")), (1, MOST, MOST_BYTES / (1024 * 1024)));
    }
}
