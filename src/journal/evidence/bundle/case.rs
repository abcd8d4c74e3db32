//! The two steps on an open journal: the manifest when a case ends, and the bundle at any time later.

use super::fault::BundleFault;
use super::made::assemble;
use super::manifest::Manifest;
use super::texts::named;
use super::{Parts, PlainTexts, entry_name};
use crate::domain::value::text::{TextDigest, TextRow};
use crate::journal::fault::Unavailable;
use crate::journal::handle::Journal;

impl Journal {
    /// The manifest of a case that ends now. Its digest is for the closing entry.
    ///
    /// # Errors
    /// A name is not allowed, the log lacks an entry, or the journal does not answer.
    pub async fn bundle_manifest(&self, parts: &Parts) -> Result<Manifest, BundleFault> {
        parts.ensure_names()?;
        let bodies = self.bodies(&parts.entries).await?;
        if let Some(missing) = parts.entries.iter().find(|index| !bodies.contains_key(index)) {
            return Err(BundleFault::NoEntry(*missing));
        }
        let names: Vec<(String, String)> = bodies.into_iter().map(|(index, body)| (entry_name(index), body)).collect();
        let entries = names.iter().map(|(name, body)| (&**name, body.as_bytes()));
        Ok(Manifest::of(&parts.named().chain(entries).collect()))
    }

    /// The bundle of a case that the entry `closing` closed: the same bytes however long the log is by now.
    ///
    /// # Errors
    /// The parts are not those of the manifest that the entry has, the log lacks an entry, or the journal does not answer.
    pub async fn bundle(&self, parts: Parts, closing: u64, texts: PlainTexts) -> Result<Vec<u8>, BundleFault> {
        let proved = self.proved(closing, &parts.entries).await?;
        let rows = match texts {
            PlainTexts::LeftOut => None,
            PlainTexts::Told => {
                let bodies = proved.all().map(|proof| proof.entry.as_bytes());
                let digests = named(parts.files.values().map(Vec::as_slice).chain(bodies));
                let digests: Vec<TextDigest> = digests.into_iter().collect();
                Some(self.texts(&digests).await?.into_values().collect::<Vec<TextRow>>())
            }
        };
        let key = self.verifier_key();
        let made = tokio::task::spawn_blocking(move || {
            let bundle = assemble(&parts, &proved, rows)?;
            // What a reader would refuse does not leave.
            super::verify(&bundle, &key).map(|_| bundle)
        });
        made.await.map_err(|_| Unavailable::BUSY)?
    }
}
