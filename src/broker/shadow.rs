//! Compares the live index with the journal (docs/explanation/journal.md#the-live-index).
//!
//! Enter through [`read`], then [`judge`]: the index is read first, so that the journal is the later of the two. An index that is
//! missing or behind is not a fault, since the follower rebuilds it. A value that is ahead of the journal, of another journal, or
//! not of our form is a [`Wrong`]: the node mints nothing and says so, and an operator decides which of the two is the truth. A
//! checkpoint that our own key signed decides it: [`Wrong::loss`]. `follow` and `carnet doctor` both ask here.

use crate::domain::value::names::EnvironmentName;
use crate::journal::{Compared, Loss, Past, Unavailable};
use crate::revocation::Away;
use crate::revocation::Index;
use crate::revocation::{Found, Marker, Strange};

/// The content of the live index, apart from cuts.
pub struct Contents {
    markers: Vec<(EnvironmentName, Found<Marker>)>,
    checkpoint: Found<String>,
}

impl Contents {
    /// The marker of an environment, if it has the form of ours.
    pub fn marker(&self, environment: &EnvironmentName) -> Option<&Marker> {
        self.markers.iter().find_map(|(of, found)| match found {
            Found::At(marker) if of == environment => Some(marker),
            Found::At(_) | Found::Missing | Found::Strange(_) => None,
        })
    }
}

/// A value of the live index that this journal did not write.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Wrong {
    /// Its key.
    pub key: String,
    /// Describes its value: shape and numbers, never text that somebody else wrote.
    pub seen: String,
    /// Describes the value that was wanted.
    pub wanted: String,
    /// True if the journal may have lost something; else the index is wrong.
    is_ahead: bool,
    /// The proof that the journal lost something, if there is one.
    loss: Option<Loss>,
}

impl Wrong {
    /// A value whose form is not ours.
    pub fn strange(strange: Strange) -> Self {
        Self { key: strange.key, seen: strange.seen, wanted: strange.wanted.to_owned(), is_ahead: false, loss: None }
    }

    /// Tells whether a newer view of the journal may explain it.
    pub fn is_ahead(&self) -> bool {
        self.is_ahead
    }

    /// The proof that the journal lost something.
    ///
    /// Only `reopen` goes on from there. The value in the index may be gone by then.
    pub fn loss(&self) -> Option<&Loss> {
        self.loss.as_ref()
    }

    /// Tells an operator what to do about it.
    pub fn fix(&self) -> String {
        if self.loss.is_some() {
            return "stop the node and put the newest journal and its anchor back; where they are lost, see `carnet journal reopen --help`"
                .to_owned();
        }
        let delete = format!("delete the key in Redis (DEL {}), and the node builds it anew from the journal", self.key);
        if self.is_ahead {
            format!(
                "if the journal was restored from a backup, stop the node and see `carnet journal reopen --help`; if not, {delete}"
            )
        } else {
            delete
        }
    }
}

/// Prints the key, the value, the wanted value, and what to do.
impl std::fmt::Display for Wrong {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} holds {}, wanted is {}: {}", self.key, self.seen, self.wanted, self.fix())
    }
}

/// Reads the markers and the checkpoint.
///
/// # Errors
/// The store does not answer. A value of any form is an answer.
pub async fn read(live: &Index, environments: &[EnvironmentName]) -> Result<Contents, Away> {
    let checkpoint = live.load_checkpoint().await?;
    let mut markers = Vec::with_capacity(environments.len());
    for environment in environments {
        markers.push((environment.clone(), live.marker(environment).await?));
    }
    Ok(Contents { markers, checkpoint })
}

/// Finds every value in `contents` that the log did not write.
///
/// # Errors
/// The journal cannot be read.
pub async fn judge(contents: &Contents, past: &Past) -> Result<Vec<Wrong>, Unavailable> {
    let mut wrong = Vec::new();
    match &contents.checkpoint {
        Found::Missing => {}
        Found::At(text) => wrong.extend(checkpoint(text, past).await?),
        Found::Strange(strange) => wrong.push(Wrong::strange(strange.clone())),
    }
    for (environment, found) in &contents.markers {
        match found {
            Found::Missing => {}
            Found::At(found) => wrong.extend(marker(environment, found, past).await?),
            Found::Strange(strange) => wrong.push(Wrong::strange(strange.clone())),
        }
    }
    Ok(wrong)
}

/// Judges a checkpoint as `follow` stores it: the epoch, and on the next lines the signed note.
///
/// A checkpoint of an earlier epoch is superseded.
pub async fn checkpoint(text: &str, past: &Past) -> Result<Option<Wrong>, Unavailable> {
    let wrong = |seen: String, is_ahead, loss| {
        let wanted = format!(
            "a checkpoint that this journal signed and extends, of epoch {} and {} entries at the most",
            past.epoch(),
            past.size()
        );
        Ok(Some(Wrong { key: "carnet:checkpoint".to_owned(), seen, wanted, is_ahead, loss }))
    };
    let epoch = text.split_once('\n').and_then(|(epoch, note)| Some((epoch.parse::<u64>().ok()?, note)));
    let Some((epoch, note)) = epoch else {
        return wrong(format!("a text of {} bytes that is no checkpoint", text.len()), false, None);
    };
    let (epoch, size, loss) = match past.compare(note, Some(epoch)).await? {
        Compared::Superseded | Compared::Extended => return Ok(None),
        Compared::Unsigned => return wrong("a checkpoint that no key of this journal signed".to_owned(), true, None),
        Compared::Doubtful { epoch, size } => (epoch, size, None),
        Compared::Lost(loss) => (loss.epoch, loss.size, Some(loss)),
    };
    let seen = if size > past.size() || epoch > past.epoch() {
        format!("a checkpoint of epoch {epoch} and {size} entries")
    } else {
        format!("a checkpoint of {size} entries with another root")
    };
    wrong(seen, true, loss)
}

/// Tells whether a node of this log, in its present epoch, wrote the marker.
///
/// # Errors
/// The journal cannot be read.
pub async fn is_ours(found: &Marker, past: &Past) -> Result<bool, Unavailable> {
    Ok(found.epoch == past.epoch() && past.root(found.index.saturating_add(1)).await? == Some(found.root))
}

async fn marker(environment: &EnvironmentName, found: &Marker, past: &Past) -> Result<Option<Wrong>, Unavailable> {
    let wrong = |seen: String| {
        let end = past.size().saturating_sub(1);
        let wanted = format!("a marker of this journal, which is at index {end} of epoch {}", past.epoch());
        Ok(Some(Wrong { key: format!("carnet:{{{environment}}}:complete"), seen, wanted, is_ahead: true, loss: None }))
    };
    if found.epoch < past.epoch() {
        return Ok(None);
    }
    let at = format!("a marker at index {} of epoch {}", found.index, found.epoch);
    if found.epoch > past.epoch() || found.index >= past.size() {
        return wrong(at);
    }
    if is_ours(found, past).await? { Ok(None) } else { wrong(format!("{at} with another root")) }
}
