//! `carnet journal migrate`: the journal in another database.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::evidence::{CONFIG, progress, unopened, unverified};
use super::serve::{invalid, refusal, system};
use crate::cli::shell::answer::{Answer, Failure};
use crate::cli::shell::exit::Exit;
use crate::config::{self, ArchiveUrl, Config, JournalSection, JournalUrl};
use crate::journal::{self, Kek, MigrateFault, Outside, Place, Settings};
use crate::serve::journal_settings;

/// Arguments.
#[derive(Clone, Debug, clap::Args)]
pub struct Migrate {
    /// Configuration: the key-encryption key, and [journal] of the database that it names
    #[arg(short, long, value_name = "FILE", default_value = CONFIG)]
    config: PathBuf,
    /// Database that the journal leaves
    #[arg(long, value_name = "URL", value_parser = place)]
    from: JournalUrl,
    /// Database that it goes to; it must be empty
    #[arg(long, value_name = "URL", value_parser = place)]
    to: JournalUrl,
    /// File with the password of a PostgreSQL database that the configuration does not name
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// File with the roots of a PostgreSQL server that the configuration does not name
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// Archive of a PostgreSQL database that the configuration does not name
    #[arg(long, value_name = "URL", value_parser = config::archive)]
    archive: Option<ArchiveUrl>,
}

fn place(text: &str) -> Result<JournalUrl, String> {
    text.parse()
}

/// Moves the journal.
pub async fn run(args: &Migrate) -> Result<Answer, Failure> {
    if args.from == args.to {
        return Err(Failure::usage("--from and --to name one database"));
    }
    let path = &args.config;
    let config = config::load(path).map_err(|faults| invalid(path, &faults))?;
    if config.journal.url != args.from && config.journal.url != args.to {
        return Err(
            Failure::usage("neither --from nor --to is [journal] url of the configuration").fix("name it in one of them")
        );
    }
    let kek =
        Kek::load(&config.keys.kek_file).map_err(|fault| Failure::usage("the key-encryption key").why(fault.to_string()))?;
    let (source, target) = (settings(args, &config, &args.from)?, settings(args, &config, &args.to)?);
    let (from, to) = (args.from.name(), args.to.name());
    let outside = system();
    let outside = Outside { clock: outside.clock, entropy: outside.entropy };
    let (source, target) = (Place { settings: &source, name: &from }, Place { settings: &target, name: &to });
    let moved = journal::migrate(source, target, &kek, &outside, &progress()).await.map_err(|fault| failed(&fault))?;
    let (size, root) = (moved.report.size, moved.report.root);
    let data = json!({"from": from, "to": to, "entries": size, "root": root, "arrived": moved.arrived});
    let answer = Answer::of(data, format!("{size} entries have moved to {to}, and were verified there\nroot {root}\n"));
    Ok(if config.journal.url == args.to {
        answer
    } else {
        answer.note(format!("{from} opens no more: name the other database in [journal] url of {}", path.display()))
    })
}

/// The settings of a journal at this place.
fn settings(args: &Migrate, config: &Config, url: &JournalUrl) -> Result<Settings, Failure> {
    let mut config = config.clone();
    if config.journal.url != *url {
        let of_postgres = matches!(url, JournalUrl::Postgres(_));
        config.journal = JournalSection {
            url: url.clone(),
            password_file: args.password_file.clone().filter(|_| of_postgres),
            ca_file: args.ca_file.clone().filter(|_| of_postgres),
            archive: args.archive.clone().filter(|_| of_postgres),
            ..config.journal
        };
    }
    let settings = journal_settings(&config).map_err(|fault| refusal(Path::new("the arguments"), fault))?;
    Ok(Settings { create: false, ..settings })
}

fn failed(fault: &MigrateFault) -> Failure {
    let told = || Failure::new(Exit::Failure, fault.to_string());
    match fault {
        MigrateFault::Open(fault) => unopened(fault),
        MigrateFault::Verify(fault) => unverified(fault),
        MigrateFault::NotEmpty(_) => told().fix("name an empty database as --to; nothing was changed there"),
        MigrateFault::Elsewhere(to) => told().fix(format!("give that database as --to ({to}), and the move goes on")),
        MigrateFault::Arrived(_) => told().fix("name it in [journal] url"),
        MigrateFault::Differs(_) => told().fix("end every server on the source, empty the target, and give the command again"),
        MigrateFault::Segments(_) => {
            told().fix("let this user read and write the folder of the segments, and give the command again")
        }
    }
}
