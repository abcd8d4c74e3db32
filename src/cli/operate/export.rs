//! `carnet journal export`: a copy of the journal, or its entries as events for another system.
//!
//! Events go to stdout, one a line. They come from the running server, or with `-c` from the journal itself. The command holds no place:
//! the last line says where a next run goes on.

use std::collections::HashMap;
use std::fs::File;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use tokio::io::Interest;
use tokio::net::unix::pipe;
use tokio::sync::{mpsc, oneshot};

use super::evidence::{self, CONFIG};
use super::serve::Stop;
use crate::broker::exported::{self, Form, Told};
use crate::cli::shell::answer::{self, Answer, Failure, cell};
use crate::cli::shell::exit::Exit;
use crate::cli::shell::reach::{Admin, Reach};
use crate::cli::shell::url;
use crate::domain::elevation::Elevation;
use crate::domain::log::entry::Entry;
use crate::domain::value::names::ElevationId;
use crate::journal::{Query, Tail};

/// How often new entries are looked for.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The pause after which a server that was away is asked again.
const ASK_AGAIN: Duration = Duration::from_secs(5);

/// How long a reader of stdout may take for the lines that are written when a signal comes.
const LAST_LINES: Duration = Duration::from_secs(2);

/// Arguments of `export`.
#[derive(Clone, Debug, clap::Args)]
pub struct Export {
    /// Folder to create
    #[arg(value_name = "DIR", required_unless_present = "person", conflicts_with = "person")]
    folder: Option<PathBuf>,
    /// Configuration; events come from the server without it
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    // It takes the place of the global `--as`, by its id.
    /// Write the entries to stdout as events, one a line: cloudevents, ocsf
    #[arg(id = "person", long = "as", value_name = "FORM")]
    form: Option<String>,
    /// First entry of the events
    #[arg(long, value_name = "INDEX", default_value_t = 0, conflicts_with = "folder")]
    from: u64,
    /// Wait for new entries
    #[arg(long, conflicts_with = "folder")]
    follow: bool,
}

/// Runs the command.
pub async fn run(args: Export, reach: &Reach) -> Result<Answer, Failure> {
    let wanted = match (&args.form, &args.folder) {
        (None, Some(folder)) => {
            return evidence::export(args.config.as_deref().unwrap_or(Path::new(CONFIG)), folder).await;
        }
        (form, _) => form.as_deref().unwrap_or_default(),
    };
    let form = Form::ALL.into_iter().find(|form| form.name() == wanted);
    let form = form.ok_or_else(|| {
        let known = Form::ALL.map(Form::name).join(" and ");
        Failure::usage(format!("there is no form {wanted:?} of events")).fix(format!("--as takes {known}"))
    })?;
    let unheard = |error: std::io::Error| Failure::new(Exit::Failure, "signals cannot be heard").why(error.to_string());
    let mut stop = Stop::listen().map_err(unheard)?;
    let (pages, mut written) = writer();
    let told = async {
        let feed = match &args.config {
            Some(config) => Feed::Journal(Box::new(evidence::tail(config).await?)),
            None => Feed::Server(Box::new(Server::new(reach.without_person()).await?)),
        };
        let mut events = Events { form, feed, origin: String::new(), epoch: 1, next: args.from, elevations: HashMap::new() };
        events.begin().await?;
        events.tell(&pages, args.follow).await
    };
    let (outcome, stopped) = tokio::select! {
        outcome = told => (outcome, false),
        () = stop.heard() => (Ok(()), true),
    };
    drop(pages);
    // A signal also comes while a reader takes nothing: then the rest has little time.
    let late = async {
        if !stopped {
            stop.heard().await;
        }
        tokio::time::sleep(LAST_LINES).await;
    };
    let written = tokio::select! {
        outcome = &mut written => outcome,
        () = late => return outcome.map(|()| Answer::done()),
    };
    match written {
        Ok(Err(error)) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Failure::new(Exit::Failure, "the events cannot be written").why(error.to_string()))
        }
        Ok(Ok(()) | Err(_)) | Err(_) => outcome.map(|()| Answer::done()),
    }
}

/// Writes pages of lines on a thread of its own, so that a reader who takes nothing holds up no signal.
fn writer() -> (mpsc::Sender<String>, oneshot::Receiver<std::io::Result<()>>) {
    let (pages, mut queue) = mpsc::channel::<String>(1);
    let (ended, written) = oneshot::channel();
    std::thread::spawn(move || {
        let mut outcome = Ok(());
        while outcome.is_ok() {
            let Some(page) = queue.blocking_recv() else { break };
            outcome = answer::lines(&page);
        }
        // Nobody waits for it after a signal.
        let _gone = ended.send(outcome);
    });
    (pages, written)
}

/// The reader of stdout, as far as it can be seen without writing: that of a pipe.
struct Reader(Option<pipe::Sender>);

impl Reader {
    fn of_stdout() -> Self {
        let copy = std::io::stdout().as_fd().try_clone_to_owned().map(File::from);
        // Nothing is written by it, and what else uses the pipe stays as it is.
        Self(copy.and_then(pipe::Sender::from_file_unchecked).ok())
    }

    /// Whether it went away.
    async fn is_gone(&self) -> bool {
        let Some(pipe) = &self.0 else { return false };
        let ready = tokio::time::timeout(Duration::from_millis(1), pipe.ready(Interest::WRITABLE)).await;
        ready.is_ok_and(|ready| ready.is_ok_and(|ready| ready.is_write_closed()))
    }
}

/// The entries as events.
struct Events {
    form: Form,
    feed: Feed,
    origin: String,
    epoch: u64,
    next: u64,
    elevations: HashMap<ElevationId, Elevation>,
}

impl Events {
    /// Learns the name of the log, and the epoch of the first entry.
    async fn begin(&mut self) -> Result<(), Failure> {
        self.origin = self.feed.origin().await?;
        let reopened = self.feed.newest("journal.reopened", None, Some(self.next)).await?;
        self.epoch = reopened.as_ref().and_then(exported::begins).unwrap_or(1);
        Ok(())
    }

    /// Writes what there is, and with `follow` what comes, until nobody reads any more.
    async fn tell(&mut self, pages: &mpsc::Sender<String>, follow: bool) -> Result<(), Failure> {
        let mut is_away = false;
        let reader = Reader::of_stdout();
        loop {
            if follow && reader.is_gone().await {
                return Ok(());
            }
            let page = match self.page().await {
                Ok(page) => {
                    is_away = false;
                    page
                }
                Err(failure) if follow && failure.exit == Exit::Unavailable => {
                    if !std::mem::replace(&mut is_away, true) {
                        answer::complain(&failure.fix("it is asked again and again"), answer::Format::Table);
                    }
                    tokio::time::sleep(ASK_AGAIN).await;
                    continue;
                }
                Err(failure) => return Err(failure),
            };
            match page {
                Some(lines) => {
                    if pages.send(lines).await.is_err() {
                        return Ok(());
                    }
                }
                None if follow && !pages.is_closed() => tokio::time::sleep(LOOK_EVERY).await,
                None => return Ok(()),
            }
        }
    }

    /// The next lines; none if there are no more entries now.
    async fn page(&mut self) -> Result<Option<String>, Failure> {
        let recorded = self.feed.from(self.next).await?;
        let mut lines = String::new();
        let (mut epoch, mut next) = (self.epoch, self.next);
        for recorded in recorded {
            let entry = Entry::parse(recorded.to_string().as_bytes());
            let entry = entry.map_err(|error| unread(next).why(error.to_string()))?;
            epoch = exported::begins(&entry).unwrap_or(epoch);
            let elevation = self.elevation(&entry).await?;
            let told = Told { origin: &self.origin, epoch, entry: &entry, recorded, elevation: elevation.as_ref() };
            lines += &exported::line(self.form, told).to_string();
            lines.push('\n');
            next = entry.index() + 1;
        }
        // After everything that may fail: a page that is asked for again tells each entry once.
        (self.epoch, self.next) = (epoch, next);
        Ok((!lines.is_empty()).then_some(lines))
    }

    /// The elevation that an entry is about. Only its first entry says what it is.
    async fn elevation(&mut self, entry: &Entry) -> Result<Option<Elevation>, Failure> {
        if let Some(elevation) = exported::asked(entry) {
            self.elevations.insert(elevation.id.clone(), elevation.clone());
            return Ok(Some(elevation.clone()));
        }
        let Some(id) = exported::about(entry) else { return Ok(None) };
        if let Some(known) = self.elevations.get(id) {
            return Ok(Some(known.clone()));
        }
        let asked = self.feed.newest("elevation.asked", Some(id.as_str()), None).await?;
        let found = asked.as_ref().and_then(exported::asked).cloned();
        self.elevations.extend(found.clone().map(|found| (id.clone(), found)));
        Ok(found)
    }
}

fn unread(index: u64) -> Failure {
    Failure::new(Exit::Failure, format!("entry {index} cannot be read")).fix("use the version of carnet that the server has")
}

/// Where entries come from.
enum Feed {
    Server(Box<Server>),
    Journal(Box<(Tail, String)>),
}

impl Feed {
    /// The name of the log.
    async fn origin(&mut self) -> Result<String, Failure> {
        match self {
            Self::Journal(tail) => Ok(tail.1.clone()),
            Self::Server(server) => {
                let note = cell(&server.get("/v1/journal/checkpoint").await?, "checkpoint");
                Ok(note.lines().next().unwrap_or_default().to_owned())
            }
        }
    }

    /// Some entries from `from` on, in order; none if there are none yet.
    async fn from(&mut self, from: u64) -> Result<Vec<Value>, Failure> {
        match self {
            Self::Journal(tail) => {
                let bodies = tail.0.from(from).await.map_err(|fault| evidence::unverified(&fault))?;
                let parsed = bodies
                    .iter()
                    .zip(from..)
                    .map(|(body, at)| serde_json::from_slice(body).map_err(|error| unread(at).why(error.to_string())));
                parsed.collect()
            }
            Self::Server(server) => {
                let (path, mut cursor) = (format!("/v1/journal?from={from}&limit=1000"), String::new());
                loop {
                    let page = server.get(&format!("{path}{cursor}")).await?;
                    let items = page["items"].as_array().cloned().unwrap_or_default();
                    // A page of entries that left the database may be empty and have more after it.
                    match page["next"].as_str() {
                        Some(next) if items.is_empty() => cursor = format!("&cursor={}", url::encode(next)),
                        Some(_) | None => return Ok(items),
                    }
                }
            }
        }
    }

    /// The newest change of a kind, about a subject, before an index.
    async fn newest(&mut self, kind: &str, subject: Option<&str>, before: Option<u64>) -> Result<Option<Entry>, Failure> {
        match self {
            Self::Journal(tail) => {
                let (kind, subject) = (Some(kind.to_owned()), subject.map(str::to_owned));
                let query = Query { kind, subject, to: before, newest_first: true, limit: Some(1), ..Query::default() };
                let found = tail.0.list(&query).await.map_err(|fault| evidence::unverified(&fault))?;
                Ok(found.into_iter().next().map(|stored| stored.entry))
            }
            Self::Server(server) => {
                let to = before.map(|before| before.to_string());
                let pairs = [("kind", Some(kind)), ("subject", subject), ("to", to.as_deref()), ("order", Some("newest"))];
                let pairs: Vec<(&str, &str)> = pairs.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
                let page = server.get(&format!("/v1/journal?limit=1&{}", url::form(&pairs))).await?;
                Ok(page["items"].get(0).and_then(|item| Entry::parse(item.to_string().as_bytes()).ok()))
            }
        }
    }
}

/// The running server.
struct Server {
    reach: Reach,
    admin: Admin,
}

impl Server {
    async fn new(reach: Reach) -> Result<Self, Failure> {
        let admin = reach.admin().await?;
        Ok(Self { reach, admin })
    }

    /// Sends a GET. A token that ended is read anew: its file may hold another one by now.
    async fn get(&mut self, path: &str) -> Result<Value, Failure> {
        match self.admin.get(path).await {
            Err(failure) if failure.exit == Exit::SignIn => {
                self.admin = self.reach.admin().await.map_err(|_| failure)?;
                self.admin.get(path).await
            }
            outcome => outcome,
        }
    }
}
