//! The configuration of an agent, from flags or from a file. Unknown keys are refused.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::cli::shell::answer::Failure;
use crate::cli::workload::token::{Grant, Token};
use crate::domain::value::names::{EnvironmentName, IntegrationId};

/// The file: several tokens and a certificate.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Keeps {
    /// The tokens, each in its own file.
    #[serde(default, rename = "token")]
    pub tokens: Vec<KeptToken>,
    /// The certificate.
    pub certificate: Option<KeptCertificate>,
}

/// One token.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeptToken {
    /// The file to write it to.
    pub file: PathBuf,
    /// The environment, such as `production`.
    pub env: EnvironmentName,
    /// The environment's issuer, if it is not `PUBLIC-SERVER/ENV`.
    pub issuer: Option<String>,
    /// `partner/integration`.
    pub integration: Option<IntegrationId>,
    /// The API.
    pub api: String,
    /// The scopes.
    pub scope: Vec<String>,
    /// The file with the workload's JWT; without it, the platform's own.
    pub assertion_file: Option<PathBuf>,
    /// The audience of that JWT, if the record's binding names another than the issuer.
    pub audience: Option<String>,
    /// True if the certificate is the proof. The token is then bound to it.
    #[serde(default)]
    pub by_certificate: bool,
}

/// A certificate and its key, in one file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeptCertificate {
    /// The file to write key and certificates to, as one PEM.
    pub file: PathBuf,
    /// The integration that it names.
    pub integration: IntegrationId,
    /// The environment.
    pub env: EnvironmentName,
    /// `https://HOST:PORT` of the mTLS socket.
    pub server: String,
    /// PEM of the authorities that sign the mTLS socket's certificate.
    ///
    /// Get it out of band: there is no trust on first use.
    pub ca_file: PathBuf,
    /// The file with the one-time enrolment token, for the first enrolment and after a lapse.
    pub enrolment_token_file: Option<PathBuf>,
}

impl KeptToken {
    /// The same, as arguments of `carnet token`.
    pub fn asked(&self) -> Token {
        Token {
            integration: self.integration.clone(),
            env: self.env.clone(),
            api: Some(self.api.clone()),
            resource: None,
            scope: self.scope.clone(),
            assertion_file: self.assertion_file.as_ref().map(|path| path.display().to_string()),
            audience: self.audience.clone(),
            grant: Grant::default(),
            issuer: self.issuer.clone(),
        }
    }
}

impl Keeps {
    /// Reads and checks the file.
    pub fn read(path: &Path) -> Result<Self, Failure> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| Failure::usage(format!("cannot read {}: {}", path.display(), error.kind())))?;
        let keeps: Self = toml::from_str(&text).map_err(|error| {
            Failure::usage(format!("{} is not a configuration of an agent", path.display())).why(error.message().to_owned())
        })?;
        keeps.check().map(|()| keeps).map_err(|fault| Failure::usage(format!("{}: {fault}", path.display())))
    }

    fn check(&self) -> Result<(), String> {
        if self.tokens.is_empty() && self.certificate.is_none() {
            return Err("there is nothing to keep: name a [[token]] or a [certificate]".to_owned());
        }
        let mut files: Vec<&Path> = self.tokens.iter().map(|token| token.file.as_path()).collect();
        files.extend(self.certificate.iter().map(|certificate| certificate.file.as_path()));
        files.sort();
        if let Some(pair) = files.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(format!("two things would be written to {}", pair[0].display()));
        }
        for token in &self.tokens {
            if token.scope.is_empty() {
                return Err(format!("the token in {} has no scope", token.file.display()));
            }
            if token.by_certificate && self.certificate.is_none() {
                return Err(format!("the token in {} is by certificate, and there is none", token.file.display()));
            }
            if token.by_certificate && token.integration.is_none() {
                return Err(format!("the token in {} is by certificate: name its integration", token.file.display()));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_kept_is_told_before_anything_is_fetched() {
        let folder = tempfile::tempdir().expect("a folder");
        let told = |text: &str| {
            let path = folder.path().join("agent.toml");
            std::fs::write(&path, text).expect("written");
            Keeps::read(&path).map(drop).map_err(|failure| format!("{} {}", failure.what, failure.why.unwrap_or_default()))
        };
        let token = "[[token]]\nfile = \"/t\"\nenv = \"production\"\napi = \"orders-api\"\nscope = [\"orders:read\"]\n";
        assert_eq!(told(token), Ok(()));
        for (bad, said) in [
            (String::new(), "nothing to keep"),
            (format!("{token}{token}"), "two things"),
            (token.replace("[\"orders:read\"]", "[]"), "no scope"),
            (format!("{token}by_certificate = true\n"), "there is none"),
            (format!("{token}more = 1\n"), "unknown field"),
            (token.replace("production", "Production"), "expected"),
            (format!("{token}[certificate]\nfile = \"/c\"\n"), "missing field"),
        ] {
            let told = told(&bad).expect_err("refused");
            assert!(told.contains(said), "{bad}: {told}");
        }
    }

    #[test]
    fn the_example_is_a_configuration() {
        let keeps = Keeps::read(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/clients/agent.toml"))).expect("sound");
        assert_eq!((keeps.tokens.len(), keeps.certificate.is_some()), (2, true));
    }
}
