//! `carnet journal`: evidence.
//!
//! This file has the verbs that ask the running server. [`super::evidence`] has those that read the journal itself
//! or an export, [`super::export`] the one that writes it.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::evidence::{self, CONFIG};
use super::export;
use super::migrate;
use crate::cli::people::partner::{done, opened};
use crate::cli::shell::answer::{Answer, Failure, cell, table, time};
use crate::cli::shell::exit::Exit;
use crate::cli::shell::reach::Reach;
use crate::cli::shell::url;
use crate::domain::value::clock::Timestamp;
use crate::domain::value::names::PartnerName;
use crate::journal::Given;
use crate::journal::tree::note::VerifierKey;
use crate::journal::tree::proof::InclusionProof;

/// Verbs.
#[derive(Clone, Debug, clap::Subcommand)]
pub enum Verb {
    /// Verify entries, order, signatures and spent proofs; an export or bundle needs only its key
    #[command(
        before_help = "Examples:\n  carnet journal verify -c carnet.toml --checkpoint last.txt\n  carnet journal verify ./export --key sts.acme.example/carnet+a1665650+AddamAGCsQq31Uv+08lkBzoO4XLz2qYjJa8CGmj3B1Ea\n  carnet journal verify globex.zip --key sts.acme.example/carnet+a1665650+AddamAGCsQq31Uv+08lkBzoO4XLz2qYjJa8CGmj3B1Ea"
    )]
    Verify(evidence::Verify),
    /// Verify, then write entries, tiles and a signed checkpoint to a new folder; with --as, write events to stdout
    #[command(
        before_help = "Examples:\n  carnet journal export ./export -c /etc/carnet/carnet.toml\n  carnet journal export --as cloudevents --from 4711 --follow"
    )]
    Export(export::Export),
    /// List entries, newest first
    #[command(
        before_help = "Examples:\n  carnet journal query --partner globex --since 2026-11-01\n  carnet journal query --kind issued --subject globex/order-sync --limit 50 -o json"
    )]
    Query(Query),
    /// Prove that an entry is in the log (C2SP tlog-proof)
    #[command(
        before_help = "Examples:\n  carnet journal prove 1042\n  carnet journal prove 1042 --export ./export --key sts.acme.example/carnet+a1665650+AddamAGCsQq31Uv+08lkBzoO4XLz2qYjJa8CGmj3B1Ea"
    )]
    Prove(Prove),
    /// Show who could do what at a time, and by whose approval
    #[command(
        before_help = "Examples:\n  carnet journal at 2026-05-07T03:12:00Z\n  carnet journal at 2026-05-07T03:12:00Z --partner globex -o json"
    )]
    At {
        /// Time in RFC 3339
        #[arg(value_name = "TIME")]
        time: String,
        /// Only this partner and its integrations
        #[arg(long, value_name = "PARTNER")]
        partner: Option<PartnerName>,
    },
    /// Print the newest signed checkpoint
    #[command(before_help = "Examples:\n  carnet journal checkpoint > last.txt\n  carnet journal checkpoint -o json")]
    Checkpoint,
    /// Show the format of entries, and the newest that each node reads; raise it once every node is upgraded
    ///
    /// Until it is raised, a node may go back to the version before. Afterwards a node that reads less does not start.
    #[command(before_help = "Examples:\n  carnet journal formats\n  carnet journal formats --raise")]
    Formats {
        /// Let entries have the newest format that every node that lives reads
        #[arg(long)]
        raise: bool,
    },
    /// Request that texts of people are forgotten; somebody of security approves
    #[command(
        before_help = "Examples:\n  carnet journal erase text:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08 --reason \"asked by the person\"\n  carnet journal erase text:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08 --reason \"asked by the person\" -o json"
    )]
    Erase {
        /// Texts, as entries name them
        #[arg(value_name = "TEXT", required = true)]
        digests: Vec<String>,
        /// Reason; it is recorded
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// Begin a new epoch after a restore
    ///
    /// It taints every signing key. The server mints no token for the longest life of an assertion. Each node keeps the changes of the last
    /// 24 hours in the `.tail` file beside its anchor. With `--tail` the revocations, suspensions, taints, ends and denials that the log
    /// lost are recorded again with the new epoch. If some were lost and nothing of them is said, the command refuses and tells their number.
    /// Nodes that share the database may run: those that stopped because of the loss go on by themselves.
    #[command(
        before_help = "Examples:\n  carnet journal reopen -c carnet.toml --confirm sts.acme.example/carnet --tail journal.tail\n  carnet journal reopen --confirm sts.acme.example/carnet -o json"
    )]
    Reopen {
        /// Configuration
        #[arg(short, long, value_name = "FILE", default_value = CONFIG)]
        config: PathBuf,
        /// Origin of the log, typed out
        #[arg(long, value_name = "ORIGIN")]
        confirm: String,
        /// Present time, by a trusted clock; also corrects a journal written under a wrong clock
        #[arg(long, value_name = "TIME")]
        now: Option<Timestamp>,
        /// Tails of nodes: record again what took something away in the lost part
        #[arg(long, value_name = "FILE", num_args = 1..)]
        tail: Vec<PathBuf>,
        /// Number of lost changes to give up, as the command tells it
        #[arg(long, value_name = "NUMBER")]
        forget: Option<u64>,
    },
    /// Move the journal to another database
    ///
    /// End every server first. The journal leaves on record, and the source opens no more. Everything is copied and verified, and the
    /// journal goes on at the target in the same epoch; keys, tokens and checkpoints stay. A command that was interrupted goes on when it
    /// is given again. To give the move up, run `carnet journal reopen` on the source: it begins a new epoch, as after a restore.
    #[command(
        before_help = "Examples:\n  carnet journal migrate --from sqlite:///var/lib/carnet/journal.db --to postgres://carnet@db.acme.example/carnet\n  carnet journal migrate -c carnet.toml --from postgres://carnet@db.acme.example/carnet --to sqlite:///var/lib/carnet/journal.db -o json"
    )]
    Migrate(migrate::Migrate),
    /// Correct the time of a journal whose newest entry is ahead of a right clock
    ///
    /// An entry that was written under a wrong clock stays for ever, and no later entry may be earlier than it, so the server
    /// mints and records nothing until the clock gets there. This command verifies all entries and records a new epoch at the
    /// present time. The cost: every signing key and every certificate authority is tainted, and everything that they signed
    /// is revoked, because tokens that were issued under the wrong clock would live too long; all elevations end. Spent
    /// proofs stay spent. It adds no waiting: tokens are issued again as soon as there are new keys
    /// (`carnet key rotate ENV --i-accept-outage`, `carnet ca rotate ENV`), or when the pause after an earlier
    /// `carnet journal reopen` is over.
    #[command(
        before_help = "Examples:\n  carnet journal correct-clock --confirm sts.acme.example/carnet --now 2026-12-01T12:00:00Z\n  carnet journal correct-clock -c carnet.toml --confirm sts.acme.example/carnet --now 2026-12-01T12:00:00Z -o json"
    )]
    CorrectClock {
        /// Configuration
        #[arg(short, long, value_name = "FILE", default_value = CONFIG)]
        config: PathBuf,
        /// Origin of the log, typed out
        #[arg(long, value_name = "ORIGIN")]
        confirm: String,
        /// Present time (RFC 3339), by a clock that you trust; this machine's clock must agree
        #[arg(long, value_name = "TIME")]
        now: Timestamp,
    },
}

/// Arguments of `query`.
#[derive(Clone, Debug, clap::Args)]
pub struct Query {
    /// Entries of this kind: issued, refused, integration.activated …
    #[arg(long, value_name = "KIND")]
    kind: Option<String>,
    /// Entries about this partner, integration or API
    #[arg(long, value_name = "SUBJECT")]
    subject: Option<String>,
    /// Entries about this partner, its integrations, their elevations, approvals, revocations and reviews; and entries that name it
    #[arg(long, value_name = "PARTNER")]
    partner: Option<PartnerName>,
    /// Entries by this person (their id), integration, `operator` or `broker`
    #[arg(long, value_name = "ACTOR")]
    actor: Option<String>,
    /// Entries since this day of UTC, RFC 3339 time or second since 1970
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Entries up to and including this day of UTC, or before this time
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Entries of this request
    #[arg(long, value_name = "REQUEST_ID")]
    request: Option<String>,
    /// Entries from this index on
    #[arg(long, value_name = "INDEX")]
    from: Option<u64>,
    /// Entries before this index
    #[arg(long, value_name = "INDEX")]
    to: Option<u64>,
    /// Maximum number of entries
    #[arg(long, value_name = "NUMBER", default_value_t = 100)]
    limit: usize,
}

/// Arguments of `prove`.
#[derive(Clone, Debug, clap::Args)]
pub struct Prove {
    /// Index of the entry
    #[arg(value_name = "INDEX")]
    index: u64,
    /// Export to prove from, without any server
    #[arg(long, value_name = "DIR", requires = "key")]
    export: Option<PathBuf>,
    /// Verifier key of the journal; without it, the key that the server names
    #[arg(long, value_name = "VKEY")]
    key: Option<VerifierKey>,
}

/// Runs a verb.
pub async fn run(verb: Verb, reach: &Reach) -> Result<Answer, Failure> {
    match verb {
        Verb::Verify(args) => evidence::verify(&args).await,
        Verb::Export(args) => export::run(args, reach).await,
        Verb::Query(args) => query(&args, reach).await,
        Verb::Prove(args) => prove(&args, reach).await,
        Verb::At { time, partner } => {
            let partner = partner.map(|partner| format!("&partner={partner}")).unwrap_or_default();
            let at = reach.admin().await?.get(&format!("/v1/journal/at?time={}{partner}", url::encode(&time))).await?;
            let text = crate::cli::yaml::write(&at);
            Ok(Answer::of(at, text))
        }
        Verb::Checkpoint => {
            let found = reach.admin().await?.get("/v1/journal/checkpoint").await?;
            let text = cell(&found, "checkpoint");
            Ok(Answer::of(found, text))
        }
        Verb::Formats { raise } => formats(raise, reach).await,
        Verb::Erase { digests, reason } => {
            let admin = reach.admin().await?;
            let outcome = admin.post("/v1/texts/erase", &json!({"digests": digests, "reason": reason})).await?;
            let opened = opened(&admin, &outcome).await;
            Ok(done(&digests.join(", "), "erasure", &outcome, opened.as_ref()))
        }
        Verb::Migrate(args) => migrate::run(&args).await,
        Verb::Reopen { config, confirm, now, tail, forget } => {
            evidence::reopen(&config, &confirm, now, &Given { tails: tail, forget }).await
        }
        Verb::CorrectClock { config, confirm, now } => evidence::correct_clock(&config, &confirm, now).await,
    }
}

async fn formats(raise: bool, reach: &Reach) -> Result<Answer, Failure> {
    let admin = reach.admin().await?;
    let mut found = admin.get("/v1/journal/formats").await?;
    let mut note = None;
    if raise {
        let outcome = admin.post("/v1/journal/formats/raise", &json!({"to": found["smallest"]})).await?;
        found = admin.get("/v1/journal/formats").await?;
        let (to, changed) = (&found["recorded"], outcome["changed"] == true);
        note = Some(if changed {
            format!("entries have the format {to} from now on")
        } else {
            format!("they have the format {to} already")
        });
    }
    let row = |node: &Value| ["id", "program", "format"].iter().map(|name| cell(node, name)).collect::<Vec<_>>();
    let rows: Vec<_> = found["nodes"].as_array().into_iter().flatten().map(row).collect();
    let text = format!("on record  {}\n{}", cell(&found, "recorded"), table(&["NODE", "VERSION", "READS FORMAT"], &rows));
    let answer = Answer::of(found, text);
    Ok(match note {
        Some(note) => answer.note(note),
        None => answer,
    })
}

async fn query(args: &Query, reach: &Reach) -> Result<Answer, Failure> {
    let number = |number: Option<u64>| number.map(|number| number.to_string());
    let filters = [
        ("kind", args.kind.clone()),
        ("subject", args.subject.clone()),
        ("partner", args.partner.as_ref().map(ToString::to_string)),
        ("actor", args.actor.clone()),
        ("since", args.since.clone()),
        ("until", args.until.clone()),
        ("requestId", args.request.clone()),
        ("from", number(args.from)),
        ("to", number(args.to)),
        ("order", Some("newest".to_owned())),
    ];
    let pairs: Vec<(&str, &str)> = filters.iter().filter_map(|(name, value)| Some((*name, value.as_deref()?))).collect();
    let (path, admin) = (format!("/v1/journal?{}", url::form(&pairs)), reach.admin().await?);
    let (mut items, mut rows) = (Vec::new(), Vec::new());
    let (mut cursor, mut more) = (String::new(), Value::from(0));
    while items.len() < args.limit {
        let limit = (args.limit - items.len()).min(1000);
        let page = admin.get(&format!("{path}&limit={limit}{cursor}")).await?;
        more = page["more"].clone();
        for item in page["items"].as_array().into_iter().flatten() {
            rows.push(row(item, &page));
            items.push(item.clone());
        }
        let Some(next) = page["next"].as_str() else { break };
        cursor = format!("&cursor={}", url::encode(next));
    }
    let text = table(&["INDEX", "TIME", "KIND", "SUBJECT", "WHO", "REASON"], &rows);
    let shown = items.len();
    let answer = Answer::of(items.into(), text);
    Ok(match more.as_u64() {
        Some(0) => answer,
        Some(more) => {
            answer.note(format!("the newest {shown}; {more} older entries match: --limit {} shows them", shown as u64 + more))
        }
        None => answer.note(format!("the newest {shown}; older entries may match, some of which have left the database")),
    })
}

/// An entry in words: names instead of digests and ids.
fn row(item: &Value, page: &Value) -> Vec<String> {
    let plain = |text: &Value| {
        let text = text.as_str().unwrap_or("-");
        page["texts"][text].as_str().unwrap_or(text).to_owned()
    };
    let subject = item["subject"].as_str().unwrap_or("-");
    let by = &item["by"];
    let person = ["staff", "machine"].iter().find_map(|kind| by.get(*kind));
    let actor = match person {
        Some(person) if person["name"].is_string() => format!("{} ({})", plain(&person["name"]), cell(person, "id")),
        Some(person) => cell(person, "id"),
        // Tokens and refusals are the client's own actions.
        None if by.is_null() => subject.to_owned(),
        None => by["workload"].as_str().or(by.as_str()).unwrap_or("-").to_owned(),
    };
    // What opens an approval or asks for an elevation has its reason there.
    let why = [&item["reason"], &item["approval"]["reason"], &item["elevation"]["reason"], &item["scope"]];
    let why = why.into_iter().find(|text| text.is_string());
    vec![
        cell(item, "index"),
        time(&item["time"]),
        cell(item, "kind"),
        page["subjects"][subject].as_str().unwrap_or(subject).to_owned(),
        actor,
        why.map_or_else(|| "-".to_owned(), plain),
    ]
}

/// Proves an entry. It prints only a proof that it has verified.
async fn prove(args: &Prove, reach: &Reach) -> Result<Answer, Failure> {
    if let (Some(export), Some(key)) = (&args.export, &args.key) {
        return evidence::prove(export, args.index, key);
    }
    let found = reach.admin().await?.get(&format!("/v1/journal/proof?index={}", args.index)).await?;
    let key = cell(&found, "key");
    let trusted = match &args.key {
        Some(key) => key.clone(),
        None => key.parse().map_err(|_| Failure::new(Exit::Failure, "the server's key is no verifier key"))?,
    };
    let proof = InclusionProof::parse(&cell(&found, "proof"), cell(&found, "entry"));
    let proof = proof.and_then(|proof| proof.verify(&trusted).map(|_| proof));
    let proof =
        proof.map_err(|fault| Failure::new(Exit::Failure, "the server's proof proves nothing").why(fault.to_string()))?;
    let data = json!({"index": proof.index, "entry": proof.entry, "proof": proof.text(), "key": key});
    let answer = Answer::of(data, proof.text()).note(format!("entry  {}", proof.entry));
    Ok(if args.key.is_some() {
        answer
    } else {
        answer.note("verified with the key that the server itself named; give yours with --key")
    })
}
