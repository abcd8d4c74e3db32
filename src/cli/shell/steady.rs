//! Retries: a service that is away for a moment must not end a job.
//!
//! Enter through [`ask`]. It repeats only what may be sent twice: a read, or a request for a token that the broker has not
//! seen, or whose answer says that no token was recorded. If a token may be on record, its proof may be spent, and a
//! repetition with the same proof would be refused as a replay. If a service asks for a long wait, there is no retry.

use std::time::{Duration, Instant};

use crate::outbound::operator::{Call, CallFault, OperatorClient, Reply};

/// The pauses between tries, doubled each time: five tries in four seconds.
const PAUSES: [Duration; 4] =
    [Duration::from_millis(250), Duration::from_millis(500), Duration::from_secs(1), Duration::from_secs(2)];

/// The longest `Retry-After` that is waited for here; a longer one is left to the caller.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// The latest beginning of a try, counted from the first.
const LONGEST: Duration = Duration::from_secs(15);

/// The caller that waits.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum For {
    /// A job: a service that cannot be reached may be back in a second.
    Job,
    /// A person, who learns at once that nothing listens.
    Person,
}

/// Calls until there is an answer that a retry would not change.
pub async fn ask(client: &OperatorClient, call: Call<'_>, waits: For) -> Result<Reply, CallFault> {
    let begun = Instant::now();
    for pause in PAUSES {
        let outcome = client.call(call.clone()).await;
        let Some(wanted) = passes(&outcome, call.method, waits) else { return outcome };
        let pause = pause.max(wanted);
        if pause > LONGEST_PAUSE || begun.elapsed() + pause > LONGEST {
            return outcome;
        }
        tokio::time::sleep(pause).await;
    }
    client.call(call).await
}

/// The pause that a service that is away asks for; `None` if a retry is of no use.
fn passes(outcome: &Result<Reply, CallFault>, method: &str, waits: For) -> Option<Duration> {
    let is_read = method == "GET";
    match outcome {
        Ok(reply) if is_away(reply.status) && (is_read || is_undone(reply.status)) => {
            let wanted = reply.header("retry-after").and_then(|seconds| seconds.trim().parse().ok());
            Some(wanted.map_or(Duration::ZERO, Duration::from_secs))
        }
        Err(CallFault::Unavailable(_)) if waits == For::Job => Some(Duration::ZERO),
        // Half an answer, or none: a token may have been recorded, so only reads are repeated.
        Err(CallFault::Late(_) | CallFault::Broken) if waits == For::Job && is_read => Some(Duration::ZERO),
        Ok(_) | Err(_) => None,
    }
}

/// True if a status says that the service is away for now, and not that the request is wrong.
pub fn is_away(status: u16) -> bool {
    matches!(status, 408 | 429 | 500 | 502 | 503 | 504)
}

/// True if a status says that nothing was done.
///
/// An internal error, or a proxy that lost the broker or its answer, does not say so.
pub fn is_undone(status: u16) -> bool {
    matches!(status, 408 | 429 | 503)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes_by_itself_is_asked_again_and_nothing_else() {
        let reply = |status, wait: Option<&str>| {
            let headers = wait.iter().map(|wait| ("retry-after".to_owned(), (*wait).to_owned())).collect();
            Ok(Reply { status, headers, body: Vec::new() })
        };
        let second = Some(Duration::from_secs(1));
        assert_eq!(passes(&reply(503, Some("1")), "GET", For::Person), second);
        assert_eq!(passes(&reply(503, Some("Wed, 21 Oct 2026 07:28:00 GMT")), "GET", For::Job), Some(Duration::ZERO));
        assert_eq!(passes(&reply(503, Some("86400")), "POST", For::Job), Some(Duration::from_secs(86_400)));
        for status in [200, 301, 400, 401, 403, 404, 501] {
            assert_eq!(passes(&reply(status, None), "GET", For::Job), None, "{status}");
        }
        let away = || Err(CallFault::Unavailable("x".to_owned()));
        assert_eq!(passes(&away(), "POST", For::Job), Some(Duration::ZERO));
        assert_eq!(passes(&away(), "GET", For::Person), None);
        for status in [500, 502, 504] {
            assert_eq!(passes(&reply(status, None), "GET", For::Job), Some(Duration::ZERO), "{status}");
            assert_eq!(passes(&reply(status, None), "POST", For::Job), None, "{status}: a proof may be spent");
        }
        let late = || Err(CallFault::Late("x".to_owned()));
        assert_eq!(passes(&late(), "GET", For::Job), Some(Duration::ZERO));
        assert_eq!(passes(&late(), "POST", For::Job), None, "a proof may be spent");
        assert_eq!(passes(&Err(CallFault::Broken), "GET", For::Job), Some(Duration::ZERO));
        assert_eq!(passes(&Err(CallFault::Broken), "POST", For::Job), None, "a proof may be spent");
        assert_eq!(passes(&Err(CallFault::Address("x".to_owned())), "GET", For::Job), None);
    }
}
