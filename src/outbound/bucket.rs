//! Objects of a bucket, by the protocol of S3: sealed files of the journal.
//!
//! The operator names server and bucket in `[journal]`, so any address is taken; nothing else decides where a request goes, and no redirect
//! is followed. Each request has a signed URL (AWS Signature Version 4, in the query), which is good for as long as the request may take and
//! stands in no fault and no log. An object is put only where there is none of its name.
//!
//! Deliberately not here: what an object must hold. Whoever reads one compares its digest.

use std::any::Any;
use std::fmt;
use std::time::Duration;

use reqwest::header::IF_NONE_MATCH;
use rusty_s3::{Credentials, S3Action as _, UrlStyle};

use super::resolve::System;
use super::{Origin, Unbuildable, client};

/// The deadline of a request, with the whole object.
const PATIENCE: Duration = Duration::from_secs(60);

/// The largest object that is read: 256 MiB. Sealed files have some 20.
pub const MOST: usize = 256 * 1024 * 1024;

/// Where a bucket is.
pub struct BucketSettings {
    /// The server.
    pub endpoint: Origin,
    /// The region that requests are signed for.
    pub region: String,
    /// The name of the bucket.
    pub name: String,
    /// The beginning of the names of all objects, without a slash at its end; it may be empty.
    pub prefix: String,
    /// Our credentials.
    pub credentials: BucketCredentials,
}

/// Our credentials at a bucket. They have no printable form.
#[derive(Clone)]
pub struct BucketCredentials(Credentials);

impl BucketCredentials {
    /// Those of a file in the form of `~/.aws/credentials`, with one profile.
    pub fn parse(text: &str) -> Option<Self> {
        let value = |name: &str| {
            let of_line = |line: &str| {
                let (key, value) = line.split_once('=')?;
                (key.trim() == name && !value.trim().is_empty()).then(|| value.trim().to_owned())
            };
            text.lines().find_map(of_line)
        };
        let (key, secret) = (value("aws_access_key_id")?, value("aws_secret_access_key")?);
        Some(Self(match value("aws_session_token") {
            Some(token) => Credentials::new_with_token(key, secret, token),
            None => Credentials::new(key, secret),
        }))
    }

    /// Those of `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and, if there is one, `AWS_SESSION_TOKEN`.
    pub fn of_environment() -> Option<Self> {
        Credentials::from_env().map(Self)
    }
}

/// A bucket, or the part of it below a prefix.
pub struct Bucket {
    http: reqwest::Client,
    signed: rusty_s3::Bucket,
    credentials: Credentials,
    prefix: String,
}

impl fmt::Debug for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())
    }
}

/// The reason why an object was not read or put, in fixed texts: neither the other side's, nor a signed URL.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ObjectFault {
    /// The server says that there is none.
    #[error("there is no such object")]
    Missing,
    /// One of this name is there.
    #[error("there is an object of this name")]
    Taken,
    /// Any other status.
    #[error("the server of the bucket answered with status {0}")]
    Refused(u16),
    /// No connection: name, address, TCP or TLS.
    #[error("no connection to the server of the bucket could be made (name, address, TCP or TLS)")]
    Connect,
    /// The deadline passed.
    #[error("the server of the bucket did not answer within 60 seconds")]
    Late,
    /// The connection broke, or the answer is not HTTP.
    #[error("the answer of the server of the bucket broke off or is not HTTP")]
    Broken,
    /// Larger than [`MOST`].
    #[error("the object is larger than 256 MiB")]
    TooLarge,
}

impl Bucket {
    /// A client for the bucket, with the TLS configuration that `authn::tls` makes.
    ///
    /// # Errors
    /// The endpoint has no host, or the client cannot be built.
    pub fn new<T: Any + Clone>(settings: BucketSettings, tls: &T) -> Result<Self, Unbuildable> {
        let BucketSettings { endpoint, region, name, prefix, credentials } = settings;
        let endpoint = reqwest::Url::parse(endpoint.as_str()).map_err(|_| Unbuildable)?;
        // The one style that an address and every compatible server take.
        let signed = rusty_s3::Bucket::new(endpoint, UrlStyle::Path, name, region).map_err(|_| Unbuildable)?;
        Ok(Self { http: client(System, tls.clone())?, signed, credentials: credentials.0, prefix })
    }

    /// It as people name it: `s3://BUCKET/PREFIX`.
    pub fn name(&self) -> String {
        let slash = if self.prefix.is_empty() { "" } else { "/" };
        format!("s3://{}{slash}{}", self.signed.name(), self.prefix)
    }

    fn key(&self, name: &str) -> String {
        if self.prefix.is_empty() { name.to_owned() } else { format!("{}/{name}", self.prefix) }
    }

    /// The content of an object.
    ///
    /// # Errors
    /// Nothing complete arrived. [`ObjectFault::Missing`] is the server's word alone.
    pub async fn get(&self, name: &str) -> Result<Vec<u8>, ObjectFault> {
        let key = self.key(name);
        let url = self.signed.get_object(Some(&self.credentials), &key).sign(PATIENCE);
        let mut answer = self.http.get(url).timeout(PATIENCE).send().await.map_err(fault)?;
        match answer.status().as_u16() {
            200 => {}
            404 => return Err(ObjectFault::Missing),
            status => return Err(ObjectFault::Refused(status)),
        }
        let mut content = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(fault)? {
            if content.len() + chunk.len() > MOST {
                return Err(ObjectFault::TooLarge);
            }
            content.extend_from_slice(&chunk);
        }
        Ok(content)
    }

    /// Puts an object where there is none of this name.
    ///
    /// # Errors
    /// It is not known to be there; [`ObjectFault::Taken`] if another one is.
    pub async fn put_new(&self, name: &str, content: Vec<u8>) -> Result<(), ObjectFault> {
        if content.len() > MOST {
            return Err(ObjectFault::TooLarge);
        }
        let key = self.key(name);
        let mut put = self.signed.put_object(Some(&self.credentials), &key);
        // Signed with the rest, so that nobody on the way takes the condition out.
        put.headers_mut().insert("if-none-match", "*");
        let request = self.http.put(put.sign(PATIENCE)).header(IF_NONE_MATCH, "*").timeout(PATIENCE).body(content);
        match request.send().await.map_err(fault)?.status().as_u16() {
            200 | 201 | 204 => Ok(()),
            412 => Err(ObjectFault::Taken),
            status => Err(ObjectFault::Refused(status)),
        }
    }
}

/// Without the error's own text, which has the signed URL.
fn fault(error: reqwest::Error) -> ObjectFault {
    if error.is_timeout() {
        ObjectFault::Late
    } else if error.is_connect() {
        ObjectFault::Connect
    } else {
        ObjectFault::Broken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_read_from_a_file_as_the_tools_of_aws_write_it() {
        let read = |text: &str| BucketCredentials::parse(text).map(|BucketCredentials(one)| one);
        let whole = read("[default]\naws_access_key_id = AKIA1\naws_secret_access_key=a/b+c=\n").expect("credentials");
        assert_eq!((whole.key(), whole.secret(), whole.token()), ("AKIA1", "a/b+c=", None));
        let session = "aws_access_key_id = AKIA1\naws_secret_access_key = s\naws_session_token = t\n";
        assert_eq!(read(session).expect("credentials").token(), Some("t"));
        for bad in ["", "AKIA1", "aws_access_key_id = AKIA1", "aws_access_key_id =\naws_secret_access_key = s"] {
            assert!(read(bad).is_none(), "{bad}");
        }
    }
}
