//! Every token that was ever issued to a client or a partner, wherever its entry stands.
//!
//! It reads the database by the index of clients, and looks through all segments, since they have no index. So it takes long where much has
//! left the database, and nothing waits for it: an offboarding asks once.

use super::fault::Unavailable;
use super::handle::Journal;
use super::store::query::Query;
use crate::domain::credential::revocation::Clients;
use crate::domain::log::entry::{Entry, Issued};

/// The entries of a page.
const PAGE: u32 = 1000;

impl Journal {
    /// Passes each token of `clients` before the entry `until` to `each`, the oldest first.
    ///
    /// # Errors
    /// The store is away, or a segment is missing or damaged: then not all were passed.
    pub async fn each_issued(
        &self,
        clients: &Clients,
        until: u64,
        mut each: impl FnMut(&Issued) + Send,
    ) -> Result<(), Unavailable> {
        self.running()?;
        let (least, beyond) = clients.subjects();
        let mut from = 0;
        // What leaves the database meanwhile is looked at in its segment: the places are read again for each part.
        loop {
            let archived = self.view().state.archive.until().min(until);
            while from < archived {
                let query =
                    Query { from, to: Some(archived), kind: Some("issued".to_owned()), limit: Some(PAGE), ..Query::default() };
                let page = self.page(&query).await?;
                for stored in &page.entries {
                    if let Entry::Issued(issued) = &stored.entry
                        && (least.as_str()..beyond.as_str()).contains(&issued.subject.to_string().as_str())
                    {
                        each(issued);
                    }
                }
                from = page.after.map_or(archived, |after| after + 1);
            }
            let some = self.reader().issued((from, until), Some(clients)).await?;
            // What was sealed since may have left the database before it was read.
            if self.view().state.archive.until().min(until) > from {
                continue;
            }
            some.iter().for_each(&mut each);
            match some.last() {
                Some(last) => from = last.index + 1,
                None => return Ok(()),
            }
        }
    }
}
