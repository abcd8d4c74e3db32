//! Enrols the certificate of a workload by EST, and renews it, each time for a new key.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::config::KeptCertificate;
use super::store;
use crate::authn::tls;
use crate::cli::shell::answer::Failure;
use crate::cli::shell::exit::Exit;
use crate::cli::shell::reach::{secret_file, unanswered};
use crate::domain::value::clock::Timestamp;
use crate::issuance::identity::{Identity, Pending};
use crate::outbound::operator::{Call, OperatorClient, Reply};

impl KeptCertificate {
    /// The identity in the file, if it has not ended.
    pub fn current(&self, now: Timestamp) -> Option<Identity> {
        let pem = std::fs::read_to_string(&self.file).ok()?;
        Identity::parse(&pem).filter(|identity| now < identity.ends)
    }

    /// A client for `base` that trusts the configured authorities alone, with this identity.
    pub fn reach(&self, base: &str, identity: Option<&Identity>) -> Result<OperatorClient, Failure> {
        let unusable =
            |what: &str| Failure::usage(format!("{what} cannot be used")).fix("look at [certificate] of the agent's file");
        let roots = std::fs::read(&self.ca_file).map_err(|_| unusable("ca_file"))?;
        let tls = tls::identified(&roots, identity.map(|identity| identity.pem.as_bytes()));
        let tls = tls.map_err(|_| unusable("ca_file or the identity"))?;
        OperatorClient::new(base, &tls).map_err(|fault| unanswered(&fault))
    }

    /// Gets the next certificate, by the current one or else by the one-time token.
    ///
    /// RFC 7030 sections 4.2.1 and 4.2.2.
    pub async fn renew(&self, now: Timestamp) -> Result<Identity, Failure> {
        let pending = Pending::generate().map_err(|fault| Failure::new(Exit::Failure, fault.to_string()))?;
        let current = self.current(now);
        let client = self.reach(&self.server, current.as_ref())?;
        let (operation, authorization) = match &current {
            Some(_) => ("simplereenroll", None),
            None => ("simpleenroll", Some(self.credential()?)),
        };
        let path = format!("/.well-known/est/{}/{operation}", self.env);
        let headers: Vec<_> = authorization.iter().map(|text| ("authorization", text.as_str())).collect();
        let body = Some(("application/pkcs10", STANDARD.encode(&pending.request).into_bytes()));
        // The rest of the chain comes from the authority, not with the certificate (RFC 7030 section 4.1). It is fetched
        // first: if nobody answers, no token is spent.
        let authorities = message_of(&client, &format!("/.well-known/est/{}/cacerts", self.env)).await?;
        let call = Call { method: "POST", path: &path, headers: &headers, body, ..Call::default() };
        let reply = client.call(call).await.map_err(|fault| unanswered(&fault))?;
        if reply.status != 200 {
            return Err(refusal(&reply));
        }
        let unusable = |why: String| Failure::new(Exit::Failure, "the enrolment's answer cannot be used").why(why);
        let issued = message(&reply).map_err(&unusable)?;
        let identity = pending.complete(&issued, &authorities).map_err(|fault| unusable(fault.to_string()))?;
        store::write(&self.file, &identity.pem).map_err(|error| cannot_write(&self.file, &error))?;
        Ok(identity)
    }

    fn credential(&self) -> Result<String, Failure> {
        let file = self.enrolment_token_file.as_ref().ok_or_else(|| {
            Failure::new(Exit::SignIn, "there is no certificate that could be renewed, and no enrolment_token_file")
                .fix("ask for a token with `carnet ca issue`, have it approved, and put it in that file")
        })?;
        let token = secret_file(file)?;
        Ok(format!("Basic {}", STANDARD.encode(format!("{}:{token}", self.integration))))
    }
}

/// The message that an EST operation answers to a GET.
async fn message_of(client: &OperatorClient, path: &str) -> Result<Vec<u8>, Failure> {
    let reply = client.call(Call { method: "GET", path, ..Call::default() }).await.map_err(|fault| unanswered(&fault))?;
    if reply.status != 200 {
        return Err(refusal(&reply));
    }
    message(&reply).map_err(|why| Failure::new(Exit::Failure, "the authority's certificates cannot be used").why(why))
}

/// The DER of an answer: base64 with line ends anywhere.
fn message(reply: &Reply) -> Result<Vec<u8>, String> {
    let text: String = String::from_utf8_lossy(&reply.body).split_whitespace().collect();
    STANDARD.decode(text).map_err(|error| error.to_string())
}

/// The failure of a file that cannot be written.
pub fn cannot_write(path: &std::path::Path, error: &std::io::Error) -> Failure {
    Failure::new(Exit::Failure, format!("cannot write {}: {}", path.display(), error.kind()))
}

/// The failure of an EST refusal (RFC 7030 section 4.2.3).
///
/// It is text whose first line begins with the reason.
fn refusal(reply: &Reply) -> Failure {
    let text = String::from_utf8_lossy(&reply.body).into_owned();
    let (reason, what) = text.lines().next().and_then(|line| line.split_once(": ")).unwrap_or(("", "no certificate"));
    let exit = match reply.status {
        429 | 500.. => Exit::Unavailable,
        401 => Exit::SignIn,
        _ => Exit::Denied,
    };
    let mut failure = Failure::new(exit, what);
    failure.reason = (!reason.is_empty()).then(|| reason.to_owned());
    failure.wait = reply.header("retry-after").and_then(|seconds| seconds.parse().ok());
    failure.place = reply.header("x-request-id").map(|request| format!("request {request}"));
    failure
}
