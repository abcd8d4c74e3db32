//! The place of sealed files that `[journal] archive` names: a folder, or a bucket as the journal calls it.

use std::io;
use std::sync::Arc;

use zeroize::Zeroizing;

use super::fault::at;
use crate::authn::tls;
use crate::config::{ArchiveUrl, Config, ConfigFault};
use crate::journal::{ArchivePlace, Objects};
use crate::outbound::Origin;
use crate::outbound::bucket::{Bucket, BucketCredentials, BucketSettings, ObjectFault};

/// The place that a configuration with a PostgreSQL database names.
///
/// # Errors
/// The fault of the bucket's keys or files.
pub(super) fn place(config: &Config) -> Result<ArchivePlace, ConfigFault> {
    let section = &config.journal;
    let (name, prefix) = match &section.archive {
        Some(ArchiveUrl::Bucket { name, prefix }) => (name.clone(), prefix.clone()),
        Some(ArchiveUrl::Folder(folder)) => return Ok(ArchivePlace::Folder(folder.join("journal"))),
        // Without an archive no entry leaves the database.
        None => return Ok(ArchivePlace::Folder(config.folder.join("journal"))),
    };
    let fault = |key: &str, what: &str, fix: &str| at(&format!("journal.{key}"), what.to_owned(), fix);
    let endpoint = section.archive_endpoint.as_ref().and_then(|origin| origin.as_str().parse::<Origin>().ok());
    let no_endpoint = || fault("archive_endpoint", "it is missing, or no origin", "write the origin of the bucket's server");
    let endpoint = endpoint.ok_or_else(no_endpoint)?;
    let credentials = match &section.archive_credentials_file {
        Some(file) => std::fs::read_to_string(file).map(Zeroizing::new).ok().and_then(|text| BucketCredentials::parse(&text)),
        None => BucketCredentials::of_environment(),
    };
    let credentials = credentials.ok_or_else(|| {
        let fix = "write aws_access_key_id = … and aws_secret_access_key = … into it, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY";
        fault("archive_credentials_file", "there are no credentials for the bucket", fix)
    })?;
    let unusable = |_| fault("archive_endpoint", "no client can be made for it", "correct it, and the roots of this machine");
    let settings = BucketSettings { endpoint, region: section.archive_region.clone(), name, prefix, credentials };
    let bucket = Bucket::new(settings, &tls::client().map_err(unusable)?).map_err(unusable)?;
    Ok(ArchivePlace::Objects(Arc::new(InBucket(bucket))))
}

/// A bucket whose calls block.
#[derive(Debug)]
struct InBucket(Bucket);

impl Objects for InBucket {
    fn name(&self) -> String {
        self.0.name()
    }

    fn get(&self, name: &str) -> io::Result<Vec<u8>> {
        waited(self.0.get(name))
    }

    fn put_new(&self, name: &str, content: Vec<u8>) -> io::Result<()> {
        waited(self.0.put_new(name, content))
    }
}

/// Waits for a request on a thread of its own, so that a caller among tasks and one without any may wait.
fn waited<T: Send>(request: impl Future<Output = Result<T, ObjectFault>> + Send) -> io::Result<T> {
    let run = || tokio::runtime::Builder::new_current_thread().enable_all().build().map(|runtime| runtime.block_on(request));
    let ran = std::thread::scope(|scope| scope.spawn(run).join());
    ran.map_err(|_| io::Error::other("the request to the bucket did not end"))??.map_err(|fault| {
        let kind = match fault {
            ObjectFault::Missing => io::ErrorKind::NotFound,
            ObjectFault::Taken => io::ErrorKind::AlreadyExists,
            ObjectFault::Late => io::ErrorKind::TimedOut,
            ObjectFault::Connect | ObjectFault::Broken => io::ErrorKind::ConnectionAborted,
            ObjectFault::Refused(_) | ObjectFault::TooLarge => io::ErrorKind::Other,
        };
        io::Error::new(kind, fault)
    })
}
