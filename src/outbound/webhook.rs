//! What is sent to a receiver of events: one signed POST in the form of Standard Webhooks.
//!
//! The signature covers id, time and body together: a receiver that checks it and the time takes no forged and no old event. A receiver
//! answers with a status; anything but 2xx, or no answer within [`PATIENCE`], is a delivery that failed. Who tries again is the caller's
//! business.

use std::fmt;
use std::time::Duration;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::{FetchFault, FetchUrl, Forbidden, Outbound};

/// How long a receiver has for its answer.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// Bytes of a secret, at the least and the most.
const SIZES: std::ops::RangeInclusive<usize> = 24..=64;

/// The secret that a receiver shares with us. It has no form that could be printed.
pub struct Secret(hmac::Key);

impl Secret {
    /// Reads `whsec_` and base64 of 24 to 64 bytes.
    pub fn parse(text: &str) -> Option<Self> {
        let encoded = text.trim().strip_prefix("whsec_")?;
        let bytes = Zeroizing::new(STANDARD.decode(encoded).ok()?);
        SIZES.contains(&bytes.len()).then(|| Self(hmac::Key::new(hmac::HMAC_SHA256, &bytes)))
    }

    /// The value of `webhook-signature`.
    fn sign(&self, message: &Message<'_>) -> String {
        let mut context = hmac::Context::with_key(&self.0);
        for part in [message.id.as_bytes(), b".", message.seconds.to_string().as_bytes(), b".", message.body.as_bytes()] {
            context.update(part);
        }
        format!("v1,{}", STANDARD.encode(context.sign()))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// One event on its way.
pub struct Message<'a> {
    /// The same at every try, so that a receiver knows it again.
    pub id: &'a str,
    /// The time of this try, in seconds since 1970.
    pub seconds: i64,
    /// JSON.
    pub body: &'a str,
}

impl Outbound {
    /// Whether the rules let events be sent to `url`: as for fetches, with `[outbound] events` for exceptions.
    ///
    /// # Errors
    /// Why not.
    pub fn may_deliver(&self, url: &str) -> Result<FetchUrl, Forbidden> {
        FetchUrl::judge(url, &self.events)
    }

    /// Sends a message once; the status of the answer. Its body is not read: nothing in it concerns us.
    ///
    /// # Errors
    /// No answer came.
    pub async fn deliver(&self, url: &FetchUrl, secret: &Secret, message: &Message<'_>) -> Result<u16, FetchFault> {
        let client = if url.listed { &self.listed } else { &self.public };
        let request = client
            .post(url.url.clone())
            .timeout(PATIENCE)
            .header("content-type", "application/json")
            .header("webhook-id", message.id)
            .header("webhook-timestamp", message.seconds.to_string())
            .header("webhook-signature", secret.sign(message))
            .body(message.body.to_owned());
        let sent = tokio::time::timeout(PATIENCE, request.send()).await.map_err(|_| FetchFault::Timeout)?;
        sent.map(|response| response.status().as_u16()).map_err(super::fault)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the Standard Webhooks specification ("Signature scheme").
    #[test]
    fn the_signature_is_that_of_the_specification() {
        let secret = Secret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").expect("a secret");
        let message = Message { id: "msg_p5jXN8AQM9LWM0D4loKWxJek", seconds: 1_614_265_330, body: r#"{"test": 2432232314}"# };
        assert_eq!(secret.sign(&message), "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        assert_eq!(format!("{secret:?}"), "Secret");
    }

    #[test]
    fn a_secret_is_long_enough_or_none() {
        for bad in ["", "whsec_", "whsec_!", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_c2hvcnQ="] {
            assert!(Secret::parse(bad).is_none(), "{bad}");
        }
    }
}
