//! What an API accepts: the issuer, the environment and the audience of its tokens.

use crate::domain::value::clock::Seconds;
use crate::domain::value::names::{ApiName, Audience, EnvironmentName, Issuer};

/// What an API takes. Every field says what must be; there is no "any".
#[derive(Clone, Debug)]
pub struct Policy {
    /// The environment's issuer, byte for byte.
    pub issuer: Issuer,
    /// Its name, as tokens and revocations have it.
    pub environment: EnvironmentName,
    /// The API, as its record is named.
    pub api: ApiName,
    /// The API's audience in that environment.
    pub audience: Audience,
    /// `at+jwt`, or `JWT` where the API's record says `profile: compat`.
    pub typ: &'static str,
    /// How far the clocks may differ: 30 s is enough with NTP, and 0 works.
    pub leeway: Seconds,
}
