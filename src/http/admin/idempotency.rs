//! `Idempotency-Key`: a request that is sent twice is done once (docs/reference/admin-api.md).
//!
//! Enter through [`Turns`]; `gate` has the order of the steps. A key belongs to one person on one route for 24 hours. From
//! the commit of its change on, a request is known by its key, whether or not anybody still waits for the answer (`journal`'s
//! `answers`). So a request runs to its end even if its sender went away, and a repetition finds the answer. A refusal
//! changed nothing, so the same key may try again; the refusal of a request that did change something is repeated like any
//! other answer. Requests with one key take turns: the second finds the answer of the first; at another node it is told to come again (`at_work`).
//! A request that cuts something is answered once the cut is confirmed, the first time and at each repetition ([`confirmed`]).

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use axum::body::{Body, Bytes};
use axum::http::response::Parts;
use axum::http::{Extensions, HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::{Deserialize, Serialize};
use tokio::sync::{Mutex as Turn, OwnedMutexGuard};

use super::problem::Problem;
use crate::broker::Broker;
use crate::broker::failure::Fault;
use crate::broker::revocation::Unconfirmed;
use crate::domain::people::actor::{Role, Staff};
use crate::domain::reason;
use crate::domain::value::clock::Seconds;
use crate::domain::value::digest::Digest;
use crate::domain::value::names::RequestId;
use crate::journal::{Idempotency, Journal, Reply};

/// The header with the key.
pub const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// The header with the reason for an apply. The reason is recorded.
pub const REASON: HeaderName = HeaderName::from_static("carnet-reason");

/// The header of an apply with the number of tokens that its guardrails would have refused.
pub const REFUSES: HeaderName = HeaderName::from_static("carnet-refuses");

/// The header of an apply with the number of tokens of which that is unknown.
pub const UNKNOWN: HeaderName = HeaderName::from_static("carnet-unknown");

/// The key of a request of `staff`, if it has one.
///
/// The roles are part of the fingerprint: an answer that a person got with a role is not repeated to them without it.
pub fn key(staff: &Staff, path: &str, headers: &HeaderMap, body: &[u8]) -> Result<Option<Idempotency>, Problem> {
    let mut keys = headers.get_all(IDEMPOTENCY_KEY).iter();
    let Some(key) = keys.next() else { return Ok(None) };
    let sound = (1..=255).contains(&key.len()) && key.as_bytes().iter().all(u8::is_ascii_graphic);
    if !sound || keys.next().is_some() {
        return Err(Problem::of(&reason::REQUEST_MALFORMED));
    }
    let sent = |name: HeaderName| headers.get(name).map_or(&[][..], HeaderValue::as_bytes);
    let fingerprint = Fingerprint {
        roles: &staff.roles,
        machine: staff.machine,
        content_type: Digest::of(sent(header::CONTENT_TYPE)),
        if_match: Digest::of(sent(header::IF_MATCH)),
        reason: Digest::of(sent(REASON)),
        refuses: headers.get(REFUSES).map(|number| Digest::of(number.as_bytes())),
        unknown: headers.get(UNKNOWN).map(|number| Digest::of(number.as_bytes())),
        body: Digest::of(body),
    };
    Ok(Some(Idempotency {
        person: digest(&[staff.person.iss.as_str().as_bytes(), staff.person.id.as_bytes()]),
        key: digest(&[path.as_bytes(), key.as_bytes()]),
        fingerprint: Digest::of_json(&fingerprint),
    }))
}

/// Everything but the key that a repetition must have in common.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Fingerprint<'r> {
    roles: &'r BTreeSet<Role>,
    machine: bool,
    /// SHA-256 of each header: a header need not be text. An absent header counts as an empty one.
    content_type: Digest,
    if_match: Digest,
    /// It is recorded.
    reason: Digest,
    #[serde(skip_serializing_if = "Option::is_none")]
    refuses: Option<Digest>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unknown: Option<Digest>,
    body: Digest,
}

/// A digest that is unique to this list of parts: each part is preceded by its length.
fn digest(parts: &[&[u8]]) -> Digest {
    let lengths: Vec<[u8; 8]> = parts.iter().map(|part| (part.len() as u64).to_be_bytes()).collect();
    let framed: Vec<&[u8]> = lengths.iter().zip(parts).flat_map(|(length, part)| [&length[..], part]).collect();
    Digest::of_parts(&framed)
}

/// The most keys of one person that are in flight at a time.
const MOST: usize = 32;

/// The locks of requests, by person and key.
#[derive(Default)]
pub struct Turns(Mutex<Waiting>);

type Waiting = HashMap<(Digest, Digest), Weak<Turn<()>>>;

/// The lock of a key: nobody else has it while this value exists.
pub type MyTurn = OwnedMutexGuard<()>;

impl Turns {
    /// Waits for the lock of a key.
    pub async fn take(&self, once: &Idempotency) -> Result<MyTurn, Problem> {
        let turn = self.of(once).ok_or_else(too_many)?;
        Ok(turn.lock_owned().await)
    }

    fn of(&self, once: &Idempotency) -> Option<Arc<Turn<()>>> {
        // Nothing panics while it holds the lock.
        let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        turns.retain(|_, turn| turn.strong_count() > 0);
        if let Some(turn) = turns.get(&(once.person, once.key)).and_then(Weak::upgrade) {
            return Some(turn);
        }
        if turns.keys().filter(|(person, _)| *person == once.person).count() >= MOST {
            return None;
        }
        let turn = Arc::new(Turn::new(()));
        turns.insert((once.person, once.key), Arc::downgrade(&turn));
        Some(turn)
    }
}

/// The refusal of a person who has too many requests in flight.
pub fn too_many() -> Problem {
    Problem::of(&reason::IDEMPOTENCY_MANY).after(Some(Seconds(1)))
}

/// An answer as it is stored.
#[derive(Deserialize, Serialize)]
pub struct Kept {
    status: u16,
    headers: Vec<(String, String)>,
    body: String,
    /// The cut to confirm before the answer is sent.
    after: Option<Unconfirmed>,
}

/// The answer to store instead of the one that it is attached to.
#[derive(Clone)]
struct InItsPlace(Option<Arc<Kept>>);

/// `answer`, once every reader of the live index is certain to know of the cut.
///
/// Until then a 503; a repetition of the request then gets `answer`.
pub async fn confirmed(broker: &Broker, request: &RequestId, cut: Unconfirmed, answer: Response) -> Response {
    let Err(denied) = broker.confirm(cut).await else { return answer };
    let kept = match taken_apart(answer).await {
        Ok((parts, body)) => Kept::of(&parts, &body),
        Err(_) => None,
    };
    let kept = kept.map(|kept| Arc::new(Kept { after: Some(cut), ..kept }));
    let mut response = Problem::from(denied).at(request).into_response();
    response.extensions_mut().insert(InItsPlace(kept));
    response
}

/// The answer to an earlier request with this key.
#[derive(Debug)]
pub struct Answered {
    response: Response,
    after: Option<Unconfirmed>,
}

impl Answered {
    /// The answer, once it may be sent.
    pub async fn told(self, broker: &Broker) -> Result<Response, Problem> {
        if let Some(cut) = self.after {
            broker.confirm(cut).await?;
        }
        Ok(self.response)
    }
}

/// The answer to `request`, if a request with its key was begun before.
///
/// While another node is at work on that one, there is none yet.
pub async fn before(
    journal: &Journal,
    request: &RequestId,
    once: &Idempotency,
    elsewhere: bool,
) -> Result<Option<Answered>, Problem> {
    let before = journal.before(once).await?;
    if before.as_ref().is_some_and(|before| before.fingerprint != once.fingerprint) {
        return Err(Problem::of(&reason::IDEMPOTENCY_REUSED));
    }
    if elsewhere && !before.as_ref().is_some_and(|before| before.finished) {
        return Err(Problem::of(&reason::IDEMPOTENCY_BEGUN));
    }
    let Some(before) = before else { return Ok(None) };
    let kept = before.answer.as_ref().and_then(|answer| serde_json::from_slice::<Kept>(answer).ok());
    if let Some(answered) = kept.and_then(Kept::answered) {
        return Ok(Some(answered));
    }
    let reason = &reason::IDEMPOTENCY_DONE;
    let message = if before.finished {
        format!("it was done as the request {}", before.request)
    } else {
        format!("it was begun as the request {}, and may not have come to its end", before.request)
    };
    let fault = Fault { at: IDEMPOTENCY_KEY.to_string(), reason, message };
    let response = Problem::faults(vec![fault]).at(request).into_response();
    // It may have cut something, and this answer must not look like a confirmation of a cut that is not confirmed.
    let after = journal.view().seen.map(Unconfirmed::at);
    Ok(Some(Answered { response, after }))
}

/// Stores `response`, if it may be repeated.
///
/// `seen` is the number of entries in the log when the request began. A request that was done is answered even if the answer
/// cannot be stored.
pub async fn keep(
    journal: &Journal,
    (request, once, seen): (&RequestId, &Idempotency, u64),
    mut response: Response,
) -> Response {
    if let Some(InItsPlace(kept)) = response.extensions_mut().remove() {
        keep_answer(journal, (request, once, seen), (true, kept.as_deref())).await;
        return response;
    }
    // After a fault of ours only the journal knows how far the request came.
    let status = response.status();
    if status.is_server_error() {
        return response;
    }
    match taken_apart(response).await {
        Ok((parts, body)) => {
            let kept = Kept::of(&parts, &body);
            keep_answer(journal, (request, once, seen), (status.is_success(), kept.as_ref())).await;
            Response::from_parts(parts, Body::from(body))
        }
        Err(problem) => problem.at(request).into_response(),
    }
}

async fn keep_answer(
    journal: &Journal,
    (request, once, seen): (&RequestId, &Idempotency, u64),
    (done, kept): (bool, Option<&Kept>),
) {
    let answer = kept.and_then(|kept| serde_json::to_vec(kept).ok());
    let reply = Reply { request, once, seen, done, answer: answer.as_deref() };
    if let Err(fault) = journal.keep_answer(reply).await {
        tracing::warn!(request_id = request.as_str(), %fault, "an answer is not kept, and will not be repeated");
    }
}

/// Splits an answer. Answers of this API are complete in memory already.
async fn taken_apart(response: Response) -> Result<(Parts, Bytes), Problem> {
    let (parts, body) = response.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await;
    Ok((parts, body.map_err(|_| Problem::of(&reason::STORE_UNAVAILABLE))?))
}

impl Kept {
    /// `None` if a header or the body is not text.
    fn of(parts: &Parts, body: &Bytes) -> Option<Self> {
        let header = |(name, value): (&HeaderName, &HeaderValue)| Some((name.to_string(), value.to_str().ok()?.to_owned()));
        let headers = parts.headers.iter().map(header).collect::<Option<_>>()?;
        let body = String::from_utf8(repeatable(&parts.extensions, body).into()).ok()?;
        Some(Self { status: parts.status.as_u16(), headers, body, after: None })
    }

    fn answered(self) -> Option<Answered> {
        let mut response = Response::new(Body::from(self.body));
        *response.status_mut() = StatusCode::from_u16(self.status).ok()?;
        for (name, value) in self.headers {
            response.headers_mut().append(HeaderName::try_from(name).ok()?, HeaderValue::try_from(value).ok()?);
        }
        Some(Answered { response, after: self.after })
    }
}

/// The member of an answer that is shown once (docs/reference/admin-api.md).
///
/// A repetition of the request gets the answer without it.
#[derive(Clone, Copy)]
pub struct ShownOnce(pub &'static str);

/// The body as it may be repeated, without the member that is shown once.
///
/// A body that cannot be parsed as JSON is stored as empty rather than with its secret.
fn repeatable(extensions: &Extensions, body: &Bytes) -> Bytes {
    let Some(ShownOnce(member)) = extensions.get() else { return body.clone() };
    let Ok(mut answer) = serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(body) else {
        return Bytes::new();
    };
    answer.remove(*member);
    serde_json::Value::Object(answer).to_string().into()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::domain::fixture::SetClock;
    use crate::domain::log::partner::PartnerChange;
    use crate::domain::people::actor::{Actor, Person};
    use crate::journal::{Kek, Location, Proposal, Settings};

    async fn journal() -> Journal {
        let settings = Settings {
            location: Location::Temporary,
            origin: "sts.acme.example/carnet".to_owned(),
            dev: true,
            anchor: None,
            node: None,
            create: true,
        };
        let outside = (Arc::new(SetClock::new()), Arc::new(crate::server::OsEntropy));
        Journal::open(&settings, &Kek::from_bytes([7; 32]), outside.0, outside.1).await.expect("opens")
    }

    fn asked(person: &str, path: &str, key_of_it: &str, body: &str) -> Idempotency {
        let person = Person { iss: "https://id.example".parse().expect("an issuer"), id: person.into(), name: None };
        let staff = Staff {
            person,
            roles: [Role::Owner].into(),
            machine: false,
            fresh: true,
            until: crate::domain::value::clock::Timestamp::MAX,
        };
        let mut headers = HeaderMap::new();
        headers.insert(IDEMPOTENCY_KEY, HeaderValue::from_str(key_of_it).expect("a value"));
        key(&staff, path, &headers, body.as_bytes()).expect("sound").expect("a key")
    }

    /// The journal has the digest for a day.
    ///
    /// If its form changed, every repetition across an upgrade would be refused.
    #[test]
    fn the_fingerprint_of_a_request_is_made_of_this() {
        let nothing = Digest::of(b"");
        let body = Digest::of(b"{}");
        let headers = format!(r#""contentType":"{nothing}","ifMatch":"{nothing}","reason":"{nothing}""#);
        let wanted = format!(r#"{{"roles":["owner"],"machine":false,{headers},"body":"{body}"}}"#);
        assert_eq!(asked("ann", "/v1/revocations", "k", "{}").fingerprint, Digest::of(wanted.as_bytes()));
    }

    fn id(name: &str) -> RequestId {
        name.parse().expect("a name")
    }

    /// Does something each time it is called, and answers how often that was.
    async fn act(count: &AtomicUsize, status: StatusCode) -> Response {
        tokio::task::yield_now().await;
        (status, [("x-kept", "yes")], count.fetch_add(1, Ordering::SeqCst).to_string()).into_response()
    }

    async fn text(response: Response) -> String {
        let body = axum::body::to_bytes(response.into_body(), 10_000).await.expect("a body");
        String::from_utf8(body.to_vec()).expect("a text")
    }

    /// Changes something for `request`, and then answers `status`.
    async fn change(journal: &Journal, request: (&RequestId, &Idempotency), status: StatusCode) -> Response {
        let made_for = crate::journal::ForRequest { id: request.0.clone(), once: Some(*request.1) };
        let what = PartnerChange::Resumed { partner: "globex".parse().expect("a name"), suspensions: Vec::new() };
        let change = what.by(Actor::Operator);
        let made = journal.change(Some(made_for), |_, _| Ok::<_, ()>(Proposal::from(change.clone()))).await;
        made.expect("the store takes it").expect("proposed");
        status.into_response()
    }

    /// As the gate does it, if nobody goes away and nothing is cut.
    async fn once(
        turns: &Turns,
        journal: &Journal,
        (request, once): (&RequestId, &Idempotency),
        act: impl Future<Output = Response>,
    ) -> Response {
        let _turn = turns.take(once).await.expect("not too many");
        match before(journal, request, once, false).await {
            Ok(Some(answered)) => answered.response,
            Ok(None) => {
                let seen = journal.view().size;
                keep(journal, (request, once, seen), act.await).await
            }
            Err(problem) => problem.at(request).into_response(),
        }
    }

    #[tokio::test]
    async fn what_is_sent_twice_is_done_once() {
        let (journal, turns, count) = (journal().await, Turns::default(), AtomicUsize::new(0));
        let one = asked("ann", "/v1/a", "k", "{}");
        let ok = StatusCode::CREATED;
        let (ids, journal) = ([id("r-1"), id("r-2"), id("r-3"), id("r-4")], &journal);
        let again = |at: usize| once(&turns, journal, (&ids[at], &one), act(&count, ok));
        let (first, second, third) = tokio::join!(again(0), again(1), again(2));
        for response in [first, second, third, again(3).await] {
            assert_eq!(response.status(), ok);
            assert_eq!(response.headers()["x-kept"], "yes");
            assert_eq!(text(response).await, "0");
        }
        assert!(turns.0.lock().expect("no panic").len() <= 1, "who has had their turn is forgotten");
        let other = asked("ann", "/v1/a", "k", "{} ");
        let other = once(&turns, journal, (&ids[1], &other), act(&count, ok)).await;
        assert_eq!(other.status(), StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!(count.load(Ordering::SeqCst), 1);
        for other in [asked("olga", "/v1/a", "k", "{}"), asked("ann", "/v1/b", "k", "{}"), asked("ann", "/v1/a", "l", "{}")] {
            assert_eq!(once(&turns, journal, (&ids[2], &other), act(&count, ok)).await.status(), ok);
        }
        assert_eq!(count.load(Ordering::SeqCst), 4);
    }

    #[tokio::test]
    async fn a_refusal_is_not_kept_unless_something_was_changed() {
        let (journal, turns, count) = (journal().await, Turns::default(), AtomicUsize::new(0));
        let (one, request) = (asked("ann", "/v1/a", "k", "{}"), id("r-1"));
        for status in [StatusCode::CONFLICT, StatusCode::SERVICE_UNAVAILABLE, StatusCode::OK, StatusCode::OK] {
            let response = once(&turns, &journal, (&request, &one), act(&count, status)).await;
            assert_eq!(response.status(), status);
        }
        assert_eq!(count.load(Ordering::SeqCst), 3);

        let (two, begun) = (asked("ann", "/v1/a", "l", "{}"), id("r-2"));
        let size = journal.view().size;
        for request in [&begun, &request] {
            let response =
                once(&turns, &journal, (request, &two), change(&journal, (request, &two), StatusCode::CONFLICT)).await;
            assert_eq!(response.status(), StatusCode::CONFLICT);
            assert_eq!(text(response).await, "");
        }
        assert_eq!(journal.view().size, size + 1);
    }

    /// F-09: if a request's outcome is unknown, a repetition is told where its entries are.
    #[tokio::test]
    async fn f_09_what_was_done_without_an_answer_is_not_done_again() {
        let (journal, turns) = (journal().await, Turns::default());
        let size = journal.view().size;
        let answers = [
            // A fault of ours after the change.
            (asked("ann", "/v1/a", "k", "{}"), Some(StatusCode::SERVICE_UNAVAILABLE)),
            // Nobody waited for the answer.
            (asked("ann", "/v1/a", "l", "{}"), None),
        ];
        for (at, (key, status)) in (1..).zip(answers) {
            let first = id(&format!("r-{at}"));
            if let Some(status) = status {
                let response = once(&turns, &journal, (&first, &key), change(&journal, (&first, &key), status)).await;
                assert_eq!(response.status(), status);
            } else {
                change(&journal, (&first, &key), StatusCode::OK).await;
            }
            let again = id("r-again");
            let answered = before(&journal, &again, &key, false).await.expect("reads").expect("it was begun");
            assert_eq!(answered.after, journal.view().seen.map(Unconfirmed::at), "it may have cut something");
            let response = once(&turns, &journal, (&again, &key), async { unreachable!("it was done") }).await;
            assert_eq!(response.status(), StatusCode::CONFLICT);
            let problem: serde_json::Value = serde_json::from_str(&text(response).await).expect("JSON");
            assert_eq!(problem["reason"], "request.done-before");
            assert_eq!(problem["request_id"], "r-again");
            let said = format!("it was begun as the request {first}, and may not have come to its end");
            assert_eq!(
                problem["errors"],
                serde_json::json!([{
                    "at": "idempotency-key", "reason": "request.done-before", "message": said,
                }])
            );
            assert_eq!(journal.view().size, size + at);
        }
    }

    /// A person has at most so many keys in flight, independently of others.
    #[tokio::test]
    async fn a_person_takes_so_many_turns_at_a_time() {
        let turns = Turns::default();
        let mut held = Vec::new();
        for number in 0..MOST {
            held.push(turns.take(&asked("ann", "/v1/a", &number.to_string(), "{}")).await.expect("not too many"));
        }
        let more = asked("ann", "/v1/a", "more", "{}");
        let refused = turns.take(&more).await.expect_err("too many").into_response();
        assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(refused.headers()[header::RETRY_AFTER], "1");
        turns.take(&asked("olga", "/v1/a", "more", "{}")).await.expect("another person");
        drop(held.pop());
        turns.take(&more).await.expect("one less");
    }

    /// A member that is shown once is not stored, nor an answer that cannot be stored without it.
    #[tokio::test]
    async fn a_secret_is_not_kept() {
        let (journal, turns) = (journal().await, Turns::default());
        for (key, body, again) in
            [("k", r#"{"id":"e","token":"s3cret"}"#, r#"{"id":"e"}"#), ("l", "token: s3cret", ""), ("m", r#"["s3cret"]"#, "")]
        {
            let (key, request) = (asked("ann", "/v1/a", key, "{}"), id("r-1"));
            let act = async {
                let mut response = body.into_response();
                response.extensions_mut().insert(ShownOnce("token"));
                response
            };
            assert_eq!(text(once(&turns, &journal, (&request, &key), act).await).await, body);
            let repeated = once(&turns, &journal, (&request, &key), async { unreachable!("it was done") }).await;
            assert_eq!(text(repeated).await, again);
        }
    }
}
