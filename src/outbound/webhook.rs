//! Sends an event to a receiver: one signed POST in the form of Standard Webhooks.
//!
//! The signature covers id, time and body together, so a receiver that checks it and the time accepts no forged and no old
//! event. Any status but 2xx, or no answer within [`PATIENCE`], is a failed delivery. The caller decides when to try again.

use std::fmt;
use std::time::Duration;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::{FetchFault, FetchUrl, Forbidden, Outbound};

/// The longest that a receiver may take to answer.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// The allowed lengths of a secret, in bytes.
const SIZES: std::ops::RangeInclusive<usize> = 24..=64;

/// The secret that a receiver shares with us. It has no printable form.
pub struct Secret(hmac::Key);

impl Secret {
    /// Parses `whsec_` and base64 of 24 to 64 bytes.
    pub fn parse(text: &str) -> Option<Self> {
        let encoded = text.trim().strip_prefix("whsec_")?;
        let bytes = Zeroizing::new(STANDARD.decode(encoded).ok()?);
        SIZES.contains(&bytes.len()).then(|| Self(hmac::Key::new(hmac::HMAC_SHA256, &bytes)))
    }

    /// The value of `webhook-signature`, an HMAC-SHA256.
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

/// One event to send.
pub struct Message<'a> {
    /// The same id at every try, so that a receiver recognises a repetition.
    pub id: &'a str,
    /// The time of this try, in seconds since 1970.
    pub seconds: i64,
    /// The body, as JSON.
    pub body: &'a str,
}

impl Outbound {
    /// Checks that the rules let events be sent to `url`.
    ///
    /// They are those of fetches, with `[outbound] events` for exceptions.
    ///
    /// # Errors
    /// The rule that forbids it.
    pub fn may_deliver(&self, url: &str) -> Result<FetchUrl, Forbidden> {
        FetchUrl::judge(url, &self.events)
    }

    /// Sends a message once, and returns the status of the answer without reading its body.
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
