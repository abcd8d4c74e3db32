//! `carnet journal`: evidence. Some of it the running server tells, and stands here; what reads the journal itself or an export is
//! in [`evidence`](super::evidence).

use std::path::PathBuf;

use serde_json::{Value, json};

use super::evidence::{self, CONFIG};
use crate::cli::shell::answer::{Answer, Failure, cell, table, time};
use crate::cli::shell::exit::Exit;
use crate::cli::shell::reach::Reach;
use crate::cli::shell::url;
use crate::domain::value::clock::Timestamp;
use crate::domain::value::names::PartnerName;
use crate::journal::tree::note::VerifierKey;
use crate::journal::tree::proof::InclusionProof;

/// Verbs.
#[derive(Clone, Debug, clap::Subcommand)]
pub enum Verb {
    /// Verify all of it: entries, order, signatures, proofs spent once; or an export with nothing but its key
    #[command(
        before_help = "Examples:\n  carnet journal verify -c carnet.toml --checkpoint last.txt\n  carnet journal verify ./export --key sts.acme.example/carnet+a1665650+AddamAGCsQq31Uv+08lkBzoO4XLz2qYjJa8CGmj3B1Ea"
    )]
    Verify(evidence::Verify),
    /// Write entries, tiles and a signed checkpoint to a new folder, verified first
    #[command(
        before_help = "Examples:\n  carnet journal export ./export\n  carnet journal export ./export -c /etc/carnet/carnet.toml"
    )]
    Export {
        /// The folder to make
        #[arg(value_name = "DIR")]
        folder: PathBuf,
        /// Configuration
        #[arg(short, long, value_name = "FILE", default_value = CONFIG)]
        config: PathBuf,
    },
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
    /// Tell what was in force at a time
    #[command(
        before_help = "Examples:\n  carnet journal at 2026-05-07T03:12:00Z\n  carnet journal at 2026-05-07T03:12:00Z -o json"
    )]
    At {
        /// RFC 3339
        #[arg(value_name = "TIME")]
        time: String,
    },
    /// Print the newest signed checkpoint
    #[command(before_help = "Examples:\n  carnet journal checkpoint > last.txt\n  carnet journal checkpoint -o json")]
    Checkpoint,
    /// Begin a new epoch after a restore: taints every signing key, and mints nothing for the longest assertion life
    #[command(
        before_help = "Examples:\n  carnet journal reopen -c carnet.toml --confirm sts.acme.example/carnet\n  carnet journal reopen --confirm sts.acme.example/carnet -o json"
    )]
    Reopen {
        /// Configuration
        #[arg(short, long, value_name = "FILE", default_value = CONFIG)]
        config: PathBuf,
        /// The origin of the log, typed out
        #[arg(long, value_name = "ORIGIN")]
        confirm: String,
        /// Also take back the time of a journal that was written under a wrong clock: the present time, by a clock that you trust
        #[arg(long, value_name = "TIME")]
        now: Option<Timestamp>,
    },
    /// Take back the time of a journal whose newest entry is ahead of a clock that is right
    ///
    /// An entry that was written under a wrong clock stands for ever, and no later entry may be earlier than it, so the
    /// server mints and records nothing until the clock gets there. This command proves all entries and records a new epoch at the present
    /// time. What it costs: every signing key and every certificate authority is tainted and all that they signed is revoked,
    /// because what was issued under the wrong clock would live too long; all elevations end. Proofs that were spent stay spent. It adds no
    /// waiting: tokens can be had again as soon as there are new keys (`carnet key rotate ENV --i-accept-outage`, `carnet ca rotate ENV`), or
    /// when the rest of an earlier `carnet journal reopen` is over.
    #[command(
        before_help = "Examples:\n  carnet journal correct-clock --confirm sts.acme.example/carnet --now 2026-12-01T12:00:00Z\n  carnet journal correct-clock -c carnet.toml --confirm sts.acme.example/carnet --now 2026-12-01T12:00:00Z -o json"
    )]
    CorrectClock {
        /// Configuration
        #[arg(short, long, value_name = "FILE", default_value = CONFIG)]
        config: PathBuf,
        /// The origin of the log, typed out
        #[arg(long, value_name = "ORIGIN")]
        confirm: String,
        /// The present time, by a clock that you trust (RFC 3339); this machine's clock must agree with it
        #[arg(long, value_name = "TIME")]
        now: Timestamp,
    },
}

/// Arguments of `query`.
#[derive(Clone, Debug, clap::Args)]
pub struct Query {
    /// Of this kind: issued, refused, integration.activated …
    #[arg(long, value_name = "KIND")]
    kind: Option<String>,
    /// About this partner, integration or API
    #[arg(long, value_name = "SUBJECT")]
    subject: Option<String>,
    /// About this partner, its integrations, and their elevations, approvals and revocations
    #[arg(long, value_name = "PARTNER")]
    partner: Option<PartnerName>,
    /// By this person (their id), integration, `operator` or `broker`
    #[arg(long, value_name = "ACTOR")]
    actor: Option<String>,
    /// Not before this day of UTC, RFC 3339 time or second since 1970
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Up to this day of UTC, which is included; or before this time
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Of this request
    #[arg(long, value_name = "REQUEST_ID")]
    request: Option<String>,
    /// From this index on
    #[arg(long, value_name = "INDEX")]
    from: Option<u64>,
    /// Before this index
    #[arg(long, value_name = "INDEX")]
    to: Option<u64>,
    /// At most so many
    #[arg(long, value_name = "NUMBER", default_value_t = 100)]
    limit: usize,
}

/// Arguments of `prove`.
#[derive(Clone, Debug, clap::Args)]
pub struct Prove {
    /// Index of the entry
    #[arg(value_name = "INDEX")]
    index: u64,
    /// Prove from this export, without any server
    #[arg(long, value_name = "DIR", requires = "key")]
    export: Option<PathBuf>,
    /// The journal's verifier key; without it, the running server's is taken
    #[arg(long, value_name = "VKEY")]
    key: Option<VerifierKey>,
}

/// Runs a verb.
pub async fn run(verb: Verb, reach: &Reach) -> Result<Answer, Failure> {
    match verb {
        Verb::Verify(args) => evidence::verify(&args).await,
        Verb::Export { folder, config } => evidence::export(&config, &folder).await,
        Verb::Query(args) => query(&args, reach).await,
        Verb::Prove(args) => prove(&args, reach).await,
        Verb::At { time } => {
            let at = reach.admin().await?.get(&format!("/v1/journal/at?time={}", url::encode(&time))).await?;
            let text = crate::cli::yaml::write(&at);
            Ok(Answer::of(at, text))
        }
        Verb::Checkpoint => {
            let found = reach.admin().await?.get("/v1/journal/checkpoint").await?;
            let text = cell(&found, "checkpoint");
            Ok(Answer::of(found, text))
        }
        Verb::Reopen { config, confirm, now } => evidence::reopen(&config, &confirm, now).await,
        Verb::CorrectClock { config, confirm, now } => evidence::correct_clock(&config, &confirm, now).await,
    }
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

/// An entry in words: names in the place of digests, and what an id stands for.
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
        // Tokens and refusals are the client's own doing.
        None if by.is_null() => subject.to_owned(),
        None => by["workload"].as_str().or(by.as_str()).unwrap_or("-").to_owned(),
    };
    let why = ["reason", "scope"].iter().find(|name| item[**name].is_string());
    vec![
        cell(item, "index"),
        time(&item["time"]),
        cell(item, "kind"),
        page["subjects"][subject].as_str().unwrap_or(subject).to_owned(),
        actor,
        why.map_or_else(|| "-".to_owned(), |name| plain(&item[*name])),
    ]
}

/// Nothing is printed that was not verified here.
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
