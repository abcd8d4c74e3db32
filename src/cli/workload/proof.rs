//! Finds a workload's proof: the one that was given, else the platform's.
//!
//! In this order: `--assertion-file FILE|-` or `CARNET_ASSERTION_FILE`; GitHub Actions; GitLab (`CARNET_ID_TOKEN`, an entry
//! of `id_tokens:`); a projected Kubernetes service account token at [`KUBERNETES`] or at `CARNET_KUBERNETES_TOKEN_FILE`; the
//! demo issuer of a `carnet dev` context. A proof is never an argument and never printed.

use std::path::{Path, PathBuf};

use crate::cli::shell::answer::Failure;
use crate::cli::shell::exit::Exit;
use crate::cli::shell::reach::{secret_file, value_at};
use crate::cli::shell::url;

/// The default path of the projected service account token.
pub const KUBERNETES: &str = "/var/run/secrets/carnet/token";

/// The source of a proof.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Source {
    /// A file, or stdin for `-`.
    File(PathBuf),
    /// An environment variable with the proof.
    Variable(&'static str),
    /// A token service: its address, and the variable with its bearer token.
    Service(String, Option<&'static str>),
}

/// Access to environment variables and files, so that tests can replace them.
pub struct Surroundings<'a> {
    /// The value of an environment variable.
    pub variable: &'a dyn Fn(&str) -> Option<String>,
    /// True if there is such a file.
    pub exists: &'a dyn Fn(&Path) -> bool,
}

/// Finds the source of a proof for `issuer`, its audience.
///
/// # Errors
/// There is no source, or the CI job lacks the permission or entry for one.
pub fn find(file: Option<&Path>, demo: Option<&str>, issuer: &str, around: &Surroundings<'_>) -> Result<Source, Failure> {
    let variable = |name: &str| (around.variable)(name).filter(|value| !value.is_empty());
    let audience = url::form(&[("audience", issuer)]);
    if let Some(file) = file {
        return Ok(Source::File(file.to_owned()));
    }
    if let Some(service) = variable("ACTIONS_ID_TOKEN_REQUEST_URL") {
        let join = if service.contains('?') { '&' } else { '?' };
        return Ok(Source::Service(format!("{service}{join}{audience}"), Some("ACTIONS_ID_TOKEN_REQUEST_TOKEN")));
    }
    if variable("GITHUB_ACTIONS").is_some() {
        // The usual cause: without this permission the runner has no token service (docs/how-to/platform/github-actions.md).
        return Err(Failure::new(Exit::SignIn, "this job may not ask GitHub for an identity token")
            .why("ACTIONS_ID_TOKEN_REQUEST_URL is not set")
            .fix("add to the job:\npermissions:\n  id-token: write"));
    }
    if variable("CARNET_ID_TOKEN").is_some() {
        return Ok(Source::Variable("CARNET_ID_TOKEN"));
    }
    if variable("GITLAB_CI").is_some() {
        return Err(Failure::new(Exit::SignIn, "this job has no identity token")
            .why("CARNET_ID_TOKEN is not set")
            .fix(format!("add to the job:\nid_tokens:\n  CARNET_ID_TOKEN:\n    aud: {issuer}")));
    }
    let projected = variable("CARNET_KUBERNETES_TOKEN_FILE").map_or_else(|| PathBuf::from(KUBERNETES), PathBuf::from);
    if (around.exists)(&projected) {
        return Ok(Source::File(projected));
    }
    if let Some(demo) = demo {
        return Ok(Source::Service(format!("{demo}?{audience}"), None));
    }
    Err(Failure::new(Exit::SignIn, "there is no proof of who this workload is")
        .why(format!("no --assertion-file, no CI platform, and no projected token at {}", projected.display()))
        .fix(format!("give a JWT whose audience is {issuer} with --assertion-file FILE (- for stdin)")))
}

impl Source {
    /// Fetches the proof.
    pub async fn read(&self) -> Result<String, Failure> {
        let proof = match self {
            Self::File(path) => secret_file(path)?,
            Self::Variable(name) => std::env::var(name).unwrap_or_default().trim().to_owned(),
            Self::Service(service, bearer) => {
                let bearer = bearer.and_then(|name| std::env::var(name).ok());
                value_at(service, bearer.as_deref()).await?
            }
        };
        if proof.is_empty() {
            return Err(Failure::new(Exit::SignIn, "the proof is empty"));
        }
        Ok(proof)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(variables: &[(&str, &str)], file: Option<&str>, there: bool, demo: Option<&str>) -> Result<Source, Failure> {
        let variable = |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        let around = Surroundings { variable: &variable, exists: &|_| there };
        find(file.map(Path::new), demo, "https://sts.acme.example/production", &around)
    }

    #[test]
    fn what_is_given_comes_first_then_the_platform_then_the_demo() {
        let github = [("GITHUB_ACTIONS", "true"), ("ACTIONS_ID_TOKEN_REQUEST_URL", "https://run.example/x?api=2")];
        assert_eq!(found(&github, Some("-"), true, None).expect("given"), Source::File("-".into()));
        let wanted = "https://run.example/x?api=2&audience=https%3A%2F%2Fsts.acme.example%2Fproduction";
        let service = Source::Service(wanted.to_owned(), Some("ACTIONS_ID_TOKEN_REQUEST_TOKEN"));
        assert_eq!(found(&github, None, true, None).expect("GitHub"), service);
        let gitlab = [("GITLAB_CI", "true"), ("CARNET_ID_TOKEN", "e")];
        assert_eq!(found(&gitlab, None, true, None).expect("GitLab"), Source::Variable("CARNET_ID_TOKEN"));
        assert_eq!(found(&[], None, true, Some("http://d")).expect("Kubernetes"), Source::File(KUBERNETES.into()));
        let demo = "http://d?audience=https%3A%2F%2Fsts.acme.example%2Fproduction".to_owned();
        assert_eq!(found(&[], None, false, Some("http://d")).expect("the demo"), Source::Service(demo, None));
    }

    #[test]
    fn who_has_none_is_told_what_to_add() {
        let github = found(&[("GITHUB_ACTIONS", "true")], None, true, Some("http://d")).expect_err("no permission");
        assert_eq!(github.fix.as_deref(), Some("add to the job:\npermissions:\n  id-token: write"));
        assert_eq!(github.exit, Exit::SignIn);
        let gitlab = found(&[("GITLAB_CI", "true")], None, false, None).expect_err("no id_tokens");
        assert!(gitlab.fix.expect("a fix").contains("aud: https://sts.acme.example/production"));
        assert_eq!(found(&[], None, false, None).expect_err("none").exit, Exit::SignIn);
    }
}
