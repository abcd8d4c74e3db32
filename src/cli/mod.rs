//! The command line.
//!
//! Each command asks the admin API, the public endpoints, the journal or the domain.
//!
//! Enter through [`main`]. Each noun has one file, with its arguments (clap) and a function that returns an
//! [`Answer`] or a [`Failure`]. Only `answer` prints: data on stdout, messages
//! on stderr, `-o table|json|yaml` everywhere, exit codes as in `shell::exit`. Secrets come from files, stdin and the
//! environment; a token among the arguments is refused before anything repeats it.
//!
//! The demo is in `dev`, the composition of a server in `serve`.

mod operate;
mod people;
pub mod shell;
mod workload;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use operate::key::Key;
use operate::{ca, dev, doctor, journal, key, serve};
use people::approval::Verdict;
use people::{
    approval, can_i, config, directory, drift, elevation, environment, evidence, exception, explain, guardrail, login, nodes,
    offboard, partner, probe, records, review, revoke, signal, status, suggest, ways_in, webhook, whoami,
};
use shell::answer::{self, Answer, Failure, Format};
use shell::context;
use shell::exit::Exit;
use shell::reach::Reach;
use workload::{agent, exec, inspect, token};

use crate::domain::value::yaml;

/// A credential broker for partner workloads: proof in, short-lived scoped token out, all recorded
#[derive(Debug, Parser)]
#[command(name = "carnet", version, propagate_version = false, arg_required_else_help = true)]
#[command(before_help = "Examples:\n  carnet serve -c carnet.toml\n  carnet explain binding.no-match")]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// The format of the output
    #[arg(short, long, global = true, value_enum, default_value_t, value_name = "FORMAT")]
    output: Format,
    #[command(flatten)]
    reach: Reach,
}

/// The commands.
#[derive(Debug, Subcommand)]
enum Command {
    /// Run the whole flow, step by step, against a development broker
    #[command(before_help = "Examples:\n  carnet demo\n  carnet demo -o json")]
    Demo,
    /// Run a broker with a demo partner, demo people and a demo API, on loopback addresses only
    #[command(before_help = "Examples:\n  carnet dev\n  carnet dev --data ./carnet-dev -o json")]
    Dev(dev::Dev),
    /// Run the server
    #[command(
        before_help = "Examples:\n  carnet serve -c carnet.toml\n  carnet serve -c carnet.toml --public 127.0.0.1:0 --admin 127.0.0.1:0 -o json"
    )]
    Serve(serve::Serve),
    /// Exchange a workload's proof for a token, and print the bare token
    #[command(
        before_help = "Examples:\n  carnet token -i globex/order-sync --env production --api orders-api --scope orders:read --assertion-file jwt.txt\n  carnet token --env sandbox --api orders-api --scope orders:read --scope orders:write --assertion-file -"
    )]
    Token(token::Token),
    /// Explain an exchange by its request id, or a reason by its code
    #[command(before_help = "Examples:\n  carnet explain binding.no-match\n  carnet explain Yk3mQ9vTz0aBcDeFgHiJkL -o json")]
    Explain(explain::Explain),
    /// Ask if an integration would get a scope now; exit 3 for no
    #[command(
        before_help = "Examples:\n  carnet can-i orders:read --api orders-api -i globex/order-sync --env production\n  carnet can-i orders:write --api orders-api -i globex/order-sync --env sandbox -o json"
    )]
    CanI(can_i::CanI),
    /// Read a token: header, claims, remaining life, and if a known issuer signed it
    #[command(
        before_help = "Examples:\n  carnet inspect token.txt\n  carnet token --env production --api orders-api --scope orders:read | carnet inspect -"
    )]
    Inspect(inspect::Inspect),
    /// Check records offline: form, lint and the records' own tests
    #[command(
        before_help = "Examples:\n  carnet validate -f partners/\n  carnet validate -f partners/globex.yaml --partial -c carnet.toml -o json"
    )]
    Validate(records::Validate),
    /// Show what applying records would change, riskiest first
    #[command(before_help = "Examples:\n  carnet plan -f partners/\n  carnet plan -f apis/ -f partners/ -o json")]
    Plan(records::Plan),
    /// Submit records; a version that widens something waits for its approvals
    #[command(
        before_help = "Examples:\n  carnet apply -f partners/\n  carnet apply -f partners/ --plan plan_0123456789abcdef01234567"
    )]
    Apply(records::Apply),
    /// Show what differs between records in files and what is in force; exit 6 if anything does
    #[command(before_help = "Examples:\n  carnet drift -f records/\n  carnet drift -f partners/globex.yaml --partial -o json")]
    Drift(drift::Drift),
    /// Fetch an issuer's discovery document and keys, before you approve a record that names it
    #[command(
        before_help = "Examples:\n  carnet probe https://token.actions.githubusercontent.com\n  carnet probe https://idp.globex.example/realms/ci -o json"
    )]
    Probe(probe::Probe),
    /// List pending approvals, or show one with everything needed to decide
    #[command(
        args_conflicts_with_subcommands = true,
        before_help = "Examples:\n  carnet approvals\n  carnet approvals show 4fJq8Zr0"
    )]
    Approvals(approval::Approvals),
    /// Request scopes for a limited time: for an integration, or as the workload itself
    #[command(
        before_help = "Examples:\n  carnet elevate -i globex/order-sync --env production --api orders-api --scope orders:write --for 30m --reason \"order 1001 is stuck\" --ticket INC-7\n  carnet elevate --own --env production --api orders-api --scope orders:write --for 30m --reason \"nightly repair\""
    )]
    Elevate(Box<elevation::Elevate>),
    /// List elevations; show or end one
    #[command(
        args_conflicts_with_subcommands = true,
        before_help = "Examples:\n  carnet elevations --state pending\n  carnet elevations -i globex/order-sync -o json"
    )]
    Elevations(elevation::Elevations),
    /// Approve a request: a terminal shows it and asks; a script gives the --version that was seen
    #[command(before_help = "Examples:\n  carnet approve 4fJq8Zr0\n  carnet approve 4fJq8Zr0 --version ab12 --reason ok")]
    Approve(approval::Review),
    /// Deny a request, in the same way
    #[command(
        before_help = "Examples:\n  carnet deny 4fJq8Zr0\n  carnet deny 4fJq8Zr0 --version ab12 --reason \"no contract\" -o json"
    )]
    Deny(approval::Review),
    /// List and show partners; suspend and resume them
    #[command(
        subcommand,
        before_help = "Examples:\n  carnet partner list\n  carnet partner suspend globex --reason \"leaked key\""
    )]
    Partner(partner::Partner),
    /// List and show integrations; submit, discard, suspend and resume them
    #[command(
        subcommand,
        before_help = "Examples:\n  carnet integration show globex/order-sync\n  carnet integration submit globex/order-sync --reason \"MSA-2291 signed\""
    )]
    Integration(partner::Integration),
    /// List environments, and close one for everybody
    #[command(
        subcommand,
        before_help = "Examples:\n  carnet environment list\n  carnet environment close staging --confirm staging --reason \"the test system is gone\""
    )]
    Environment(environment::Environment),
    /// List static secrets that live at partners, and close one
    #[command(
        subcommand,
        before_help = "Examples:\n  carnet exception list\n  carnet exception close EXCEPTION --evidence \"the account is deleted, CHG-17\""
    )]
    Exception(exception::Exception),
    /// Review partners' access: list, show and decide, start a campaign, report
    #[command(
        subcommand,
        before_help = "Examples:\n  carnet review list\n  carnet review decide rev_globex.order-sync.production.1 --version VERSION --keep orders-api/orders:read --reason \"asked the team\""
    )]
    Review(review::Review),
    /// List every way in: bindings, keys, certificates, elevations, static secrets, with owner, last use and end
    #[command(
        before_help = "Examples:\n  carnet inventory --ends-within 60d\n  carnet inventory --unused 30d -o csv > unused.csv"
    )]
    Inventory(ways_in::Inventory),
    /// Propose a narrower record of an integration, from what was issued in 90 days
    #[command(
        before_help = "Examples:\n  carnet suggest globex/order-sync > narrower.yaml\n  carnet suggest globex/order-sync -o json"
    )]
    Suggest(suggest::Suggest),
    /// Show which controls of security frameworks hold, now or over a period, and what shows it
    #[command(
        before_help = "Examples:\n  carnet evidence --framework owasp-nhi\n  carnet evidence --from 2026-07-01 --to 2026-09-30 -o html > evidence.html\n  carnet evidence --from 2026-07-01 --bundle > evidence.zip"
    )]
    Evidence(evidence::Evidence),
    /// List and send signals that a partner's access has lost its reason, and decide those that were held
    #[command(
        subcommand,
        before_help = "Examples:\n  carnet signal list --held\n  carnet signal send globex/order-sync compromised --reason \"a stolen laptop\""
    )]
    Signal(signal::Signal),
    /// Offboard partners and integrations, for good and with evidence
    #[command(
        subcommand,
        before_help = "Examples:\n  carnet offboard start globex/order-sync --confirm globex/order-sync --reason \"the contract is over\"\n  carnet offboard list"
    )]
    Offboard(offboard::Offboard),
    /// Register and list what an offboarding has to wait for
    #[command(
        subcommand,
        before_help = "Examples:\n  carnet dependency add globex/order-sync --api orders-api --environment production --what \"a line of the allow list\"\n  carnet dependency list"
    )]
    Dependency(offboard::Dependencies),
    /// List, check and report guardrails: what must never be granted
    #[command(subcommand, before_help = "Examples:\n  carnet guardrail list\n  carnet guardrail check -f guardrails/")]
    Guardrail(guardrail::Guardrail),
    /// Show the people directory; send a list of people, confirm that people left
    #[command(before_help = "Examples:\n  carnet directory\n  carnet directory import people.csv")]
    Directory(directory::Directory),
    /// Revoke a token, or everything issued under a thing; list and lift revocations
    #[command(
        subcommand,
        before_help = "Examples:\n  carnet revoke integration globex/order-sync --reason incident\n  carnet revoke list"
    )]
    Revoke(revoke::Revoke),
    /// Manage keys: the key-encryption key, signing keys, the journal's key
    #[command(subcommand, before_help = "Examples:\n  carnet key init keys/kek\n  carnet key rotate production")]
    Key(Key),
    /// Manage certificates: authorities, enrolment, revocation
    #[command(
        subcommand,
        before_help = "Examples:\n  carnet ca show\n  carnet ca issue globex/order-sync --env production --reason \"new machine\""
    )]
    Ca(ca::Ca),
    /// List receivers of events and their progress; replay events
    #[command(subcommand, before_help = "Examples:\n  carnet webhook list\n  carnet webhook replay siem --from 4711")]
    Webhook(webhook::Webhook),
    /// Put a changed configuration on record, for all nodes
    #[command(
        subcommand,
        before_help = "Examples:\n  carnet config apply -c /etc/carnet/carnet.toml --check\n  carnet config apply -c /etc/carnet/carnet.toml",
        after_help = context::HELP
    )]
    Config(config::Verb),
    /// List the nodes that share the journal, and how far each is
    #[command(before_help = "Examples:\n  carnet nodes\n  carnet nodes -o json")]
    Nodes,
    /// Sign in at the company's identity provider, in the browser
    #[command(
        before_help = "Examples:\n  carnet login --server https://carnet.acme.example --issuer https://idp.acme.example --client-id carnet-cli\n  carnet login --no-browser --issuer https://idp.acme.example --client-id carnet-cli"
    )]
    Login(Box<login::Login>),
    /// Query, prove, verify and export the journal
    #[command(
        subcommand,
        before_help = "Examples:\n  carnet journal checkpoint\n  carnet journal query --kind issued --limit 10"
    )]
    Journal(journal::Verb),
    /// Keep tokens and a certificate current in files, beside a workload
    #[command(
        before_help = "Examples:\n  carnet agent --config agent.toml --ready 127.0.0.1:7410\n  carnet agent --env production --api orders-api --scope orders:read --token-file /run/carnet/token",
        after_help = context::HELP
    )]
    Agent(Box<agent::Agent>),
    /// Run a command with a token in its environment
    #[command(
        before_help = "Examples:\n  carnet exec --env production --api orders-api --scope orders:read -- ./sync.sh\n  carnet exec --env production --api orders-api --scope orders:read --file-variable TOKEN_FILE -- ./worker",
        after_help = context::HELP
    )]
    Exec(Box<exec::Exec>),
    /// Check everything that a server needs
    #[command(before_help = "Examples:\n  carnet doctor\n  carnet doctor -c /etc/carnet/carnet.toml -o json")]
    Doctor(doctor::Doctor),
    /// Show who you are to the server: person, roles, and how long the sign-in is valid
    #[command(before_help = "Examples:\n  carnet whoami\n  carnet whoami -o json", after_help = context::HELP)]
    Whoami,
    /// Show which broker this is, if it is ready, and if you are signed in
    #[command(before_help = "Examples:\n  carnet status\n  carnet status --server https://carnet.acme.example -o json", after_help = context::HELP)]
    Status,
    /// Print completions for a shell
    #[command(before_help = "Examples:\n  carnet completion bash\n  carnet completion zsh")]
    Completion {
        /// The shell
        #[arg(value_enum)]
        shell: clap_complete::Shell,
    },
}

impl Command {
    /// Whether it can answer in this format.
    fn has(&self, format: Format) -> bool {
        match format {
            Format::Table | Format::Json | Format::Yaml => true,
            Format::Markdown => matches!(self, Self::Plan(_) | Self::Drift(_)),
            Format::Csv => matches!(self, Self::Inventory(_)),
            Format::Html => matches!(self, Self::Review(review::Review::Report { .. }) | Self::Evidence(_)),
        }
    }
}

/// Runs the program.
pub fn main() -> ExitCode {
    run(std::env::args_os().collect()).into()
}

fn run(arguments: Vec<OsString>) -> Exit {
    if arguments.iter().skip(1).any(|argument| holds_token(&argument.to_string_lossy())) {
        let failure = Failure::usage("a token was given as an argument; arguments show in process lists and shell history")
            .fix("put it in a file and name the file, or pass - and give it on stdin");
        return answer::complain(&failure, Format::Table);
    }
    let cli = match parser().try_get_matches_from(arguments).and_then(|matches| Cli::from_arg_matches(&matches)) {
        Ok(cli) => cli,
        Err(error) => {
            let _gone = error.print();
            return if error.use_stderr() { Exit::Usage } else { Exit::Ok };
        }
    };
    if !cli.command.has(cli.output) {
        let failure = Failure::usage("this command has no such format")
            .fix("-o markdown is for plan and drift, -o csv for inventory, -o html for review report and evidence");
        return answer::complain(&failure, Format::Table);
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            let failure = Failure::new(Exit::Failure, "the program cannot start its threads").why(error.to_string());
            return answer::complain(&failure, cli.output);
        }
    };
    match runtime.block_on(dispatch(cli.command, &cli.reach, cli.output)) {
        Ok(answer) => answer::print(&answer, cli.output),
        Err(failure) => answer::complain(&failure, cli.output),
    }
}

async fn dispatch(command: Command, reach: &Reach, format: Format) -> Result<Answer, Failure> {
    match command {
        Command::Demo => dev::demo(format).await,
        Command::Dev(args) => dev::run(args, format).await,
        Command::Serve(args) => serve::run(args, format).await,
        Command::Token(args) => token::run(args, reach).await,
        Command::Explain(args) => explain::run(args, reach).await,
        Command::Validate(args) => records::validate(&args),
        Command::Plan(args) => records::plan(&args, reach).await,
        Command::Apply(args) => records::apply(&args, reach).await,
        Command::Drift(args) => drift::run(&args, reach).await,
        Command::Probe(args) => probe::run(&args, reach).await,
        Command::Approvals(args) => approval::approvals(args, reach).await,
        Command::Elevate(args) => elevation::elevate(*args, reach).await,
        Command::Elevations(args) => elevation::elevations(args, reach).await,
        Command::Approve(args) => approval::review(&args, Verdict::Approve, reach).await,
        Command::Deny(args) => approval::review(&args, Verdict::Deny, reach).await,
        Command::CanI(args) => can_i::run(&args, reach).await,
        Command::Inspect(args) => inspect::run(&args, reach).await,
        Command::Partner(verb) => partner::partner(verb, reach, format).await,
        Command::Integration(verb) => partner::integration(verb, reach).await,
        Command::Environment(verb) => environment::run(verb, reach).await,
        Command::Inventory(args) => ways_in::run(&args, reach).await,
        Command::Suggest(args) => suggest::run(&args, reach).await,
        Command::Evidence(args) => evidence::run(&args, reach).await,
        Command::Signal(verb) => signal::run(verb, reach).await,
        Command::Offboard(verb) => offboard::run(verb, reach).await,
        Command::Dependency(verb) => offboard::dependencies(verb, reach).await,
        Command::Exception(verb) => exception::run(verb, reach).await,
        Command::Review(verb) => review::run(verb, reach).await,
        Command::Guardrail(verb) => guardrail::run(verb, reach).await,
        Command::Directory(args) => directory::run(args, reach).await,
        Command::Revoke(verb) => revoke::run(verb, reach).await,
        Command::Key(verb) => key::run(verb, reach).await,
        Command::Ca(verb) => ca::run(verb, reach).await,
        Command::Webhook(verb) => webhook::run(verb, reach).await,
        Command::Config(verb) => config::run(verb, reach).await,
        Command::Nodes => nodes::run(reach).await,
        Command::Login(args) => login::run(*args, reach).await,
        Command::Journal(verb) => journal::run(verb, reach).await,
        Command::Agent(args) => agent::run(*args, reach, format).await,
        Command::Exec(args) => exec::run(*args, reach).await,
        Command::Doctor(args) => doctor::run(&args).await,
        Command::Status => status::run(reach).await,
        Command::Whoami => whoami::run(reach).await,
        Command::Completion { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut parser(), "carnet", &mut script);
            answer::stdout(&String::from_utf8_lossy(&script));
            Ok(Answer::done())
        }
    }
}

/// The commands as clap parses them, with the examples first on each help page.
fn parser() -> clap::Command {
    fn led_by_examples(command: clap::Command) -> clap::Command {
        let names: Vec<String> = command.get_subcommands().map(|sub| sub.get_name().to_owned()).collect();
        let template = "{about-with-newline}\n{before-help}{usage-heading} {usage}\n\n{all-args}{after-help}";
        names.into_iter().fold(command.help_template(template), |command, name| command.mut_subcommand(name, led_by_examples))
    }
    led_by_examples(Cli::command())
}

/// True if an argument has something that looks like a compact JWS (RFC 7515 section 7.1).
fn holds_token(argument: &str) -> bool {
    argument.split(['=', ' ', ',', '"', '\'']).any(|part| part.starts_with("eyJ") && part.matches('.').count() >= 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaves(command: &clap::Command, path: &str, found: &mut Vec<(String, clap::Command)>) {
        found.push((path.to_owned(), command.clone()));
        for sub in command.get_subcommands() {
            leaves(sub, &format!("{path} {}", sub.get_name()), found);
        }
    }

    /// Splits a line into words, as a shell does.
    pub(super) fn words(line: &str) -> Vec<String> {
        let (mut words, mut quoted) = (vec![String::new()], false);
        for c in line.chars() {
            match c {
                '"' => quoted = !quoted,
                ' ' if !quoted => words.push(String::new()),
                other => words.last_mut().expect("a word").push(other),
            }
        }
        words
    }

    #[test]
    fn every_command_leads_with_two_examples_that_parse() {
        let mut found = Vec::new();
        leaves(&parser(), "carnet", &mut found);
        assert!(found.len() > 10);
        for (path, command) in found {
            let help = command.get_before_help().unwrap_or_else(|| panic!("{path} has no examples")).to_string();
            let examples: Vec<_> = help.lines().filter_map(|line| line.strip_prefix("  ")).collect();
            assert!(help.starts_with("Examples:\n") && examples.len() >= 2, "{path}: {help}");
            for example in examples {
                assert!(example.starts_with("carnet "), "{path}: {example}");
                let line = example.split(" | ").next().and_then(|line| line.split(" > ").next()).expect("a command");
                if let Err(error) = Cli::command().try_get_matches_from(words(line)) {
                    panic!("{path}: {example}: {error}");
                }
            }
        }
    }

    #[test]
    fn the_commands_are_well_formed() {
        parser().debug_assert();
    }

    #[test]
    fn l_04_a_token_among_the_arguments_is_seen() {
        for bad in ["eyJh.eyJi.c", "--assertion=eyJh.eyJi.c", "Bearer eyJh.eyJi.c", "eyJh.eyJi."] {
            assert!(holds_token(bad), "{bad}");
        }
        for good in ["eyJ", "jwt.txt", "eyJ.txt", "-", "a.b.c"] {
            assert!(!holds_token(good), "{good}");
        }
    }

    #[test]
    fn an_unknown_verb_suggests_the_one_that_was_meant() {
        let error = parser().try_get_matches_from(["carnet", "exlpain"]).expect_err("unknown");
        assert!(error.to_string().contains("'explain'"), "{error}");
    }
}
