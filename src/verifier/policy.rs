//! The issuer, environment and audience of the tokens that an API accepts.

use crate::domain::value::clock::Seconds;
use crate::domain::value::names::{ApiName, Audience, EnvironmentName, Issuer};

/// The tokens that an API accepts. Every field is required; there is no "any".
#[derive(Clone, Debug)]
pub struct Policy {
    /// The environment's issuer, compared byte for byte with `iss`.
    pub issuer: Issuer,
    /// The environment's name, compared with `env` and used in the keys of revocations.
    pub environment: EnvironmentName,
    /// The API's name, as in its record.
    pub api: ApiName,
    /// The API's audience in that environment, compared with `aud`.
    pub audience: Audience,
    /// The `typ` header: `at+jwt`, or `JWT` if the API's record has `profile: compat`.
    pub typ: &'static str,
    /// The tolerated difference between clocks, in seconds: 30 is enough with NTP, and 0 works.
    pub leeway: Seconds,
}
