use super::*;
use crate::domain::people::actor::Role;
use crate::domain::value::clock::Seconds;

/// A folder with the files that the configurations below name.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(folder.path().join("keys")).expect("a folder");
    for file in ["keys/kek", "chain.pem", "key.pem"] {
        std::fs::write(folder.path().join(file), "").expect("a file");
    }
    folder
}

fn faults(text: &str) -> Vec<String> {
    let folder = folder();
    let place = folder.path().display().to_string();
    let list = parse(&text.replace("@FOLDER", &place), folder.path()).map(|_| ()).expect_err("faults");
    list.iter().map(|fault| fault.to_string().replace(&place, "@FOLDER")).collect()
}

const GOOD: &str = r#"
[listen]
public = "127.0.0.1:0"
public_tls = {cert = "chain.pem", key = "key.pem"}
admin_url = "https://carnet.acme.example"
trusted_proxies = ["10.0.0.0/8"]
verify_callers = ["10.0.7.0/24", "2001:db8::/32"]
connections_per_address = 10
body_limit = "32KiB"
[journal]
url = "sqlite://@FOLDER/journal.db"
origin = "sts.acme.example/carnet"
retention = "400d"
[redis]
url = "rediss://127.0.0.1:6379/3"
[keys]
kek_file = "keys/kek"
[staff]
issuer = "http://127.0.0.1:9000"
max_age = "30m"
roles = { administrator = ["carnet-admins"], security = ["security"] }
[outbound]
issuers = ["http://127.0.0.1:9000"]
[environments.sandbox]
issuer = "https://sts.acme.example/sandbox"
[environments.production]
issuer = "https://sts.acme.example/production"
max_ttl = "10m"
trust_domain = "production.partners.acme.example"
"#;

#[test]
fn a_good_file_is_read_whole() {
    let folder = folder();
    let path = folder.path().join("carnet.toml");
    std::fs::write(&path, GOOD.replace("@FOLDER", &folder.path().display().to_string())).expect("a file");
    let config = load(&path).expect("no fault");
    assert_eq!(config.listen.public.port(), 0);
    assert_eq!(config.listen.admin.to_string(), "127.0.0.1:7401");
    assert_eq!(config.listen.body_limit, 32 * 1024);
    let listed =
        |networks: &[crate::domain::value::network::Cidr]| networks.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(listed(&config.listen.trusted_proxies), ["10.0.0.0/8"]);
    assert_eq!(listed(&config.listen.verify_callers), ["10.0.7.0/24", "2001:db8::/32"]);
    assert_eq!(config.listen.public_tls.as_ref().map(|tls| tls.cert.clone()), Some(folder.path().join("chain.pem")));
    assert_eq!(config.listen.admin_url.as_ref().map(Origin::authority), Some("carnet.acme.example"));
    assert_eq!(config.journal.url, JournalUrl::Sqlite(folder.path().join("journal.db")));
    assert_eq!(config.keys.kek_file, folder.path().join("keys/kek"));
    assert_eq!((config.staff.person_claim.as_str(), config.staff.roles_claim.as_str()), ("sub", "groups"));
    assert_eq!(config.staff.max_age, Seconds::minutes(30));
    assert!(config.staff.roles[&Role::Security].contains("security"));
    let sandbox = &config.environments["sandbox"];
    assert_eq!((sandbox.authority(), sandbox.path(), sandbox.max_ttl), ("sts.acme.example", "/sandbox", Seconds::minutes(15)));
    let redis = config.redis.expect("a section").url;
    assert_eq!(redis.servers, RedisServers::One("127.0.0.1".to_owned(), 6379));
    assert_eq!((redis.tls, redis.database, redis.username), (true, 3, None));
}

#[test]
fn all_faults_are_told_at_once_in_the_order_of_the_file() {
    let text = r#"color = "red"
[listen]
public = "localhost:7400"
admin = 7401
mtls = "127.0.0.1:7400"
pubic = "127.0.0.1:1"
public_tls = {cert = "absent.pem"}
mtls_url = "http://mtls.acme.example"
trusted_proxies = ["10.0.0.1/8", 5]
verify_callers = ["10.0.7.0", "gateway"]
connections_per_address = 0
body_limit = "16KB"
[node]
id = "STS-1"
grace = "2h"
[journal]
url = "postgres://carnet:hunter2@db/carnet"
archive = "s3://AKIA:hunter2@bucket"
replication = "eventual"
origin = "two words"
retention = "1h"
[redis]
url = "redis+sentinel://carnet:hunter2@a:1,b:2/mymaster"
[keys]
[staff]
issuer = "http://idp.acme.example"
person_claim = ""
max_age = "2w"
roles = { administrator = ["a"], root = ["b"] }
[outbound]
issuers = ["https://idp.acme.example/path"]
[environments.Sandbox]
issuer = "https://a.example"
[environments.production]
issuer = "https://sts.acme.example/production/"
max_ttl = "2h"
trust_domain = "A"
[environments.staging]
issuer = "https://a.example/staging"
max_ttl = "14s"
[governance]
unused_warn = "91d"
unused_suspend = "90d"
"#;
    let seen = faults(text);
    let golden = include_str!("golden/faults.txt");
    assert_eq!(seen.join("\n") + "\n", golden);
    assert!(!golden.contains("hunter2"), "a password is never told");
}

#[test]
fn a_directory_has_an_address_of_its_own_and_one_token_or_two() {
    let with = |section: &str| format!("{GOOD}[directory]\n{section}");
    let folder = folder();
    for file in ["one", "two"] {
        std::fs::write(folder.path().join(file), "").expect("a file");
    }
    let read = |section: &str| parse(&with(section).replace("@FOLDER", &folder.path().display().to_string()), folder.path());
    let tls =
        "listen = \"127.0.0.1:7444\"\ntoken_files = [\"one\", \"two\"]\ntls = {cert = \"chain.pem\", key = \"key.pem\"}\n";
    let directory = read(tls).expect("no fault").directory.expect("a directory");
    assert_eq!((directory.listen.port(), directory.token_files.len(), directory.tls.is_some()), (7444, 2, true));
    assert!(read("listen = \"127.0.0.1:0\"\ntoken_files = [\"one\"]\n").is_ok());
    let told = |section: &str| {
        let faults = read(section).map(|_| ()).expect_err("a fault");
        faults.into_iter().map(|fault| format!("{}: {}", fault.field, fault.reason)).collect::<Vec<_>>().join("; ")
    };
    for (section, reason) in [
        ("token_files = [\"one\"]\n", "directory.listen: it is missing"),
        ("listen = \"127.0.0.1:7444\"\n", "it names 0 files, and one or two are needed"),
        ("listen = \"127.0.0.1:7444\"\ntoken_files = [\"one\", \"two\", \"one\"]\n", "it names 3 files"),
        ("listen = \"127.0.0.1:7444\"\ntoken_files = [\"none\"]\n", "there is no file"),
        ("listen = \"127.0.0.1:7401\"\ntoken_files = [\"one\"]\n", "[listen] admin has the same address"),
        ("listen = \"127.0.0.1:7444\"\ntoken_files = [\"one\"]\ntoken = \"x\"\n", "directory.token: this key is not known"),
    ] {
        assert!(told(section).contains(reason), "{section}: {}", told(section));
    }
}

#[test]
fn what_is_missing_is_told_too() {
    assert_eq!(
        faults(""),
        [
            "file: journal: the section is missing; write url = \"sqlite:///var/lib/carnet/journal.db\"",
            "file: keys: the section is missing; create it with `carnet key init PATH` and write kek_file = \"PATH\"",
            "file: staff: the section is missing; name the company's identity provider: issuer, audience, roles",
            "file: environments: there is no environment; add [environments.production] with an issuer",
        ]
    );
}

#[test]
fn broken_toml_has_a_line() {
    let list = faults(&format!("{GOOD}\n[journal\nx = \n"));
    assert!(list.iter().any(|fault| fault.starts_with("line 31: unclosed table")), "{list:#?}");
    let twice = faults(&format!("{GOOD}\n[redis]\n"));
    assert!(twice.iter().any(|fault| fault.contains("duplicate")), "{twice:#?}");
}

#[test]
fn issuers_of_two_environments_never_overlap() {
    for (one, other, is_fault) in [
        ("https://a.example/x", "https://a.example/x", true),
        ("https://a.example", "https://a.example/x", true),
        ("https://a.example/x/y", "https://a.example/x", true),
        ("https://a.example/x", "https://a.example/xy", false),
        ("https://a.example/x", "https://b.example/x", false),
        ("http://127.0.0.1:1/x", "https://127.0.0.1:1/x", true),
    ] {
        let text = GOOD
            .replace("https://sts.acme.example/sandbox", one)
            .replace("https://sts.acme.example/production", other)
            .replace("@FOLDER", "/tmp");
        let outcome = parse(&text, folder().path());
        let is_overlap = outcome.is_err_and(|list| list.iter().any(|fault| fault.reason.contains("the beginning of")));
        assert_eq!(is_overlap, is_fault, "{one} {other}");
    }
}

/// S-19: no configuration lets more than 256 KiB be read of a stranger.
#[test]
fn s_19_no_body_of_a_stranger_is_longer_than_256_kib() {
    for (limit, is_taken) in [
        ("4KiB", true),
        ("256KiB", true),
        ("262144", true),
        ("262145", false),
        ("257KiB", false),
        ("1MiB", false),
        ("4095", false),
        ("0", false),
    ] {
        let folder = folder();
        let path = folder.path().display().to_string();
        let text = GOOD.replace("body_limit = \"32KiB\"", &format!("body_limit = \"{limit}\"")).replace("@FOLDER", &path);
        let refused =
            parse(&text, folder.path()).is_err_and(|list| list.iter().any(|fault| fault.field == "listen.body_limit"));
        assert_eq!(refused, !is_taken, "{limit}");
    }
}

#[test]
fn a_file_that_cannot_be_read_is_a_fault() {
    let list = load(Path::new("/nonexistent/carnet.toml")).expect_err("a fault");
    assert_eq!(list.len(), 1);
    assert!(list[0].reason.starts_with("cannot read /nonexistent/carnet.toml"), "{list:?}");
}

/// The zone of guardrails is one that is known, and UTC where nothing is said.
#[test]
fn the_zone_of_governance_is_one_that_is_known() {
    let zone = |more: &str| {
        let folder = folder();
        let text = format!("{GOOD}\n{more}").replace("@FOLDER", &folder.path().display().to_string());
        let config = parse(&text, folder.path());
        config.map(|config| config.governance.zone.name().to_owned()).map_err(|faults| faults.len())
    };
    assert_eq!(zone(""), Ok("UTC".to_owned()));
    assert_eq!(zone("[governance]\nzone = \"Europe/Berlin\""), Ok("Europe/Berlin".to_owned()));
    for bad in ["zone = \"Europe/Carnet\"", "zone = 1", "zon = \"UTC\"", "unused_warn = \"1h\"", "unused_suspend = \"367d\""] {
        assert_eq!(zone(&format!("[governance]\n{bad}")), Err(1), "{bad}");
    }
}

#[test]
fn mail_names_a_server_a_sender_and_security() {
    let read = |section: &str| {
        let folder = folder();
        let text = format!("{GOOD}[mail]\n{section}").replace("@FOLDER", &folder.path().display().to_string());
        let config = parse(&text, folder.path());
        config
            .map(|config| config.mail.expect("a section"))
            .map_err(|faults| faults.into_iter().map(|fault| fault.field).collect::<Vec<_>>())
    };
    let end = "from = \"carnet@acme.example\"\nsecurity = [\"secops@acme.example\"]";
    let mail = read(&format!("server = \"mail.acme.example:587\"\n{end}")).expect("no fault");
    assert_eq!((mail.server.host.as_str(), mail.server.port, mail.tls), ("mail.acme.example", 587, MailTls::StartTls));
    let mail = read(&format!("server = \"[::1]:25\"\ntls = \"none\"\n{end}")).expect("no fault");
    assert_eq!((mail.server.host.as_str(), mail.tls), ("[::1]", MailTls::None));
    for server in [
        "mail.acme.example",
        "mail.acme.example:0",
        "mail.acme.example:025",
        "MAIL.acme.example:25",
        ":25",
        "::1:25",
        "[::1:25",
        "a b:25",
    ] {
        let faults = read(&format!("server = \"{server}\"\n{end}")).expect_err("a fault");
        assert_eq!(faults, ["mail.server"], "{server}");
    }
    for (section, field) in [
        ("", "mail.server"),
        ("server = \"m.example:25\"\ntls = \"opportunistic\"", "mail.tls"),
        ("server = \"m.example:25\"\nusername = \"carnet\"", "mail.username"),
        ("server = \"m.example:25\"\npassword_file = \"nowhere\"\nusername = \"carnet\"", "mail.password_file"),
        ("server = \"m.example:25\"\nca_file = \"nowhere\"", "mail.ca_file"),
        ("server = \"m.example:25\"\nsecurty = []", "mail.securty"),
    ] {
        assert_eq!(read(&format!("{section}\n{end}")).expect_err("a fault"), [field], "{section}");
    }
    let bad = "server = \"m.example:25\"\nfrom = \"a@b.example\\r\\nBcc: c@d.example\"\nsecurity = [\"team:sec\"]";
    let faults = read(bad).expect_err("faults");
    assert_eq!(faults, ["mail.security", "mail.from", "mail.security"]);
}

const SQLITE: &str = "url = \"sqlite://@FOLDER/journal.db\"\norigin = \"sts.acme.example/carnet\"\nretention = \"400d\"";

/// `GOOD` with these lines as its `[journal]`, and with or without `[redis]`.
fn of_journal(lines: &str, has_redis: bool) -> Result<Config, Vec<String>> {
    let folder = folder();
    for file in ["password", "roots.pem"] {
        std::fs::write(folder.path().join(file), "x").expect("a file");
    }
    let text = GOOD.replace(SQLITE, lines);
    let text = if has_redis { text } else { text.replace("[redis]\nurl = \"rediss://127.0.0.1:6379/3\"\n", "") };
    let told =
        |faults: Vec<ConfigFault>| faults.into_iter().map(|fault| format!("{}: {}", fault.field, fault.reason)).collect();
    parse(&text.replace("@FOLDER", &folder.path().display().to_string()), folder.path()).map_err(told)
}

#[test]
fn a_journal_in_postgresql_says_how_it_is_reached_and_kept() {
    let whole = "url = \"postgres://carnet@db1.acme.example,db2.acme.example/carnet?sslmode=verify-full\"\npassword_file = \"password\"\n\
                 ca_file = \"roots.pem\"\nreplication = \"asynchronous\"\narchive = \"file:///tmp\"\nretention = \"400d\"";
    let journal = of_journal(whole, true).expect("no fault").journal;
    let JournalUrl::Postgres(url) = &journal.url else { panic!("{:?}", journal.url) };
    assert_eq!((url.database.as_str(), url.hosts.len(), url.tls), ("carnet", 2, true));
    assert_eq!((journal.replication, journal.archive), (Replication::Asynchronous, Some(ArchiveUrl::Folder("/tmp".into()))));
    assert!(journal.password_file.is_some() && journal.ca_file.is_some());
    let least = of_journal("url = \"postgres://carnet@db/carnet\"", true).expect("no fault").journal;
    assert_eq!((least.replication, least.archive), (Replication::Synchronous, None));
    let local = "url = \"postgres://carnet@/carnet?host=/tmp\"";
    let bucket = "url = \"postgres://carnet@/carnet?host=/tmp\"\narchive_endpoint = \"https://s3.acme.example\"";
    let whole =
        format!("{bucket}\narchive = \"s3://bucket/a/b\"\narchive_region = \"eu-1\"\narchive_credentials_file = \"password\"");
    let journal = of_journal(&whole, true).expect("no fault").journal;
    assert_eq!(journal.archive, Some(ArchiveUrl::Bucket { name: "bucket".to_owned(), prefix: "a/b".to_owned() }));
    assert_eq!(journal.archive_endpoint.as_ref().map(Origin::as_str), Some("https://s3.acme.example"));
    assert!(journal.archive_region == "eu-1" && journal.archive_credentials_file.is_some());
    let journal = of_journal(&format!("{bucket}\narchive = \"s3://bucket\""), true).expect("no fault").journal;
    assert_eq!(journal.archive, Some(ArchiveUrl::Bucket { name: "bucket".to_owned(), prefix: String::new() }));
    assert_eq!(journal.archive_region, "us-east-1");
    for (lines, has_redis, fault) in [
        (local, false, "redis: the section is missing: nodes that share"),
        ("url = \"postgres://carnet:hunter2@db/carnet\"", true, "journal.url: it has a password"),
        (&format!("{local}\nretention = \"400d\""), true, "journal.archive: it is missing"),
        (&format!("{local}\narchive = \"s3://bucket\""), true, "journal.archive_endpoint: it is missing"),
        (&format!("{bucket}\narchive = \"s3://bucket/\""), true, "journal.archive: its prefix"),
        (&format!("{bucket}\narchive = \"s3://bucket/a/../b\""), true, "journal.archive: its prefix"),
        (&format!("{bucket}\narchive = \"s3://bucket/a?b\""), true, "journal.archive: its prefix"),
        (&format!("{bucket}\narchive = \"s3://AKIA:hunter2@bucket\""), true, "journal.archive: it does not name a bucket"),
        (&format!("{bucket}\narchive = \"s3://Bucket\""), true, "journal.archive: it does not name a bucket"),
        (&format!("{bucket}\narchive = \"s3://\""), true, "journal.archive: it does not name a bucket"),
        (&format!("{bucket}\narchive = \"file:///tmp\""), true, "journal.archive_endpoint: it is for an archive in a bucket"),
        (bucket, true, "journal.archive_endpoint: it is for an archive in a bucket"),
        (
            &format!("{local}\narchive = \"s3://bucket\"\narchive_endpoint = \"http://s3.acme.example\""),
            true,
            "journal.archive_endpoint: it is plain http",
        ),
        (
            &format!("{bucket}\narchive = \"s3://bucket\"\narchive_region = \"\""),
            true,
            "journal.archive_region: it is no region",
        ),
        (
            &format!("{bucket}\narchive = \"s3://bucket\"\narchive_credentials_file = \"nowhere\""),
            true,
            "journal.archive_credentials_file: there is no file",
        ),
        (&format!("{SQLITE}\narchive_region = \"x\""), true, "journal.archive_region: it is for a journal in PostgreSQL"),
        (
            &format!("{local}\narchive = \"file:///nonexistent\""),
            true,
            "journal.archive: the folder of the archive does not exist",
        ),
        (&format!("{local}\narchive = \"/tmp\""), true, "journal.archive: it does not name a folder"),
        (&format!("{local}\nca_file = \"roots.pem\""), true, "journal.ca_file: there is no TLS"),
        (&format!("{local}\npassword_file = \"nowhere\""), true, "journal.password_file: there is no file"),
        (&format!("{local}\nreplication = \"eventual\""), true, "journal.replication: there is no such replication"),
        (&format!("{SQLITE}\npassword_file = \"password\""), true, "journal.password_file: it is for a journal in PostgreSQL"),
        (&format!("{SQLITE}\nca_file = \"roots.pem\""), true, "journal.ca_file: it is for a journal in PostgreSQL"),
        (&format!("{SQLITE}\nreplication = \"synchronous\""), true, "journal.replication: it is for a journal in PostgreSQL"),
        (&format!("{SQLITE}\narchive = \"file:///tmp\""), true, "journal.archive: it is for a journal in PostgreSQL"),
    ] {
        let faults = of_journal(lines, has_redis).expect_err(lines);
        assert!(matches!(faults.as_slice(), [one] if one.starts_with(fault)), "{lines}: {faults:?}");
        assert!(!faults[0].contains("hunter2"), "a password is never told");
    }
}

#[test]
fn a_node_has_a_name() {
    let node = |lines: &str| of_journal(&format!("{SQLITE}\n[node]\n{lines}"), true).map(|config| config.node);
    let named = node("id = \"sts-1.acme.example\"\ngrace = \"30s\"").expect("no fault");
    assert_eq!((named.id.as_str(), named.grace), ("sts-1.acme.example", Seconds(30)));
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").expect("a name").trim().to_ascii_lowercase();
    let unnamed = node("").expect("no fault");
    assert_eq!((unnamed.id.as_str(), unnamed.grace), (host.as_str(), Seconds::minutes(5)));
    for (lines, field) in [
        ("id = \"\"", "node.id"),
        ("id = \"sts 1\"", "node.id"),
        ("id = \"Sts-1\"", "node.id"),
        ("id = \"sts-1.\"", "node.id"),
        ("id = \"-sts\"", "node.id"),
        ("grace = \"2h\"", "node.grace"),
        ("grace = \"1s\"", "node.grace"),
        ("name = \"sts-1\"", "node.name"),
    ] {
        let faults = node(lines).expect_err(lines);
        assert!(matches!(faults.as_slice(), [one] if one.starts_with(field)), "{lines}: {faults:?}");
    }
}
