//! Several nodes and one archive, a folder or a bucket: sealed entries leave the database once another node has read their file back.

use std::fs;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use carnet::domain::log::archive::Segment;
use carnet::domain::value::clock::Seconds;
use carnet::journal::{ArchiveFault, Journal, Reading};
use carnet::serve::Running;

use crate::interop::process::tool;
use crate::nodes::{Fellow, minted};
use crate::webhooks::until;
use crate::world::client::{free_port, get};
use crate::world::store::Database;
use crate::world::{Options, World};

const DAY: i64 = 86_400;
const RETENTION: Seconds = Seconds::days(30);

/// A world whose node `sts-1` has this archive, with tokens of 40 days ago.
async fn aged(archive: &Path, retention: &str) -> (Database, World) {
    aged_in(&format!("archive = \"file://{}\"\n{retention}", archive.display())).await
}

/// The same with these lines of `[journal]`.
async fn aged_in(lines: &str) -> (Database, World) {
    let database = Database::new();
    let journal = format!("url = \"{}\"\n{lines}", database.url);
    let configuration = "\n[node]\nid = \"sts-1\"\n".to_owned();
    let world = World::with(Options { journal: Some(journal), configuration, ..Options::default() }).await;
    for _ in 0..260 {
        minted(&world, world.public).await;
    }
    world.advance(40 * DAY).await;
    (database, world)
}

/// The files of one more node, with an archive of its own.
fn fellow_with(world: &World, archive: &Path, other: &Path) -> Fellow {
    let fellow = Fellow::of(world, "sts-2");
    moved(&fellow, archive, other);
    fellow
}

/// Names another archive in the configuration of a node.
fn moved(fellow: &Fellow, from: &Path, to: &Path) {
    let named = |archive: &Path| format!("archive = \"file://{}\"", archive.display());
    rewritten(fellow, &named(from), &named(to));
}

fn rewritten(fellow: &Fellow, from: &str, to: &str) {
    let text = fs::read_to_string(fellow.file()).expect("a configuration");
    assert!(text.contains(from), "{text}");
    fs::write(fellow.file(), text.replace(from, to)).expect("written");
}

const SECRET: &str = "hunter2/and+more";

/// A server of S3's protocol with the bucket `carnet`, which verifies signatures.
struct S3 {
    port: u16,
    folder: tempfile::TempDir,
    running: Option<Child>,
}

impl S3 {
    async fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        fs::create_dir_all(folder.path().join("root/carnet")).expect("a bucket");
        for (name, secret) in [("right", SECRET), ("wrong", "hunter3")] {
            let text = format!("[default]\naws_access_key_id = AKIACARNET\naws_secret_access_key = {secret}\n");
            fs::write(folder.path().join(name), text).expect("written");
        }
        let mut server = Self { port: free_port(), folder, running: None };
        server.run().await;
        server
    }

    async fn run(&mut self) {
        let mut command = tool("s3s-fs");
        command.args(["--host", "127.0.0.1", "--port", &self.port.to_string()]);
        command.args(["--access-key", "AKIACARNET", "--secret-key", SECRET]).arg(self.folder.path().join("root"));
        self.running = Some(command.stdout(Stdio::null()).spawn().expect("it starts"));
        until("it listens", async || TcpStream::connect(("127.0.0.1", self.port)).is_ok()).await;
    }

    fn kill(&mut self) {
        if let Some(mut running) = self.running.take() {
            let _ = running.kill();
            let _ = running.wait();
        }
    }

    fn lines(&self) -> String {
        let (port, file) = (self.port, self.folder.path().join("right"));
        let file = file.display();
        format!(
            "archive = \"s3://carnet/sts/one\"\narchive_endpoint = \"http://127.0.0.1:{port}\"\n\
             archive_credentials_file = \"{file}\"\n"
        )
    }

    /// The files of the objects.
    fn objects(&self) -> Vec<PathBuf> {
        let Ok(files) = fs::read_dir(self.folder.path().join("root/carnet/sts/one")) else { return Vec::new() };
        files.map(|file| file.expect("a file").path()).collect()
    }
}

impl Drop for S3 {
    fn drop(&mut self) {
        self.kill();
    }
}

fn journal(running: &Option<Running>) -> &Journal {
    &running.as_ref().expect("runs").broker.journal
}

/// Seals the entries that are due. They stay in the database, since nobody else knows of the file yet.
async fn sealed(database: &Database, world: &World) -> Segment {
    let due = in_database(database).await;
    assert!(due > 100, "{due}");
    let segment = journal(&world.running).archive(RETENTION).await.expect("seals").expect("a segment");
    assert_eq!((segment.first, segment.until), (0, 256));
    assert_eq!(in_database(database).await, due);
    segment
}

/// The tokens of the first 256 entries that are in the database.
async fn in_database(database: &Database) -> u32 {
    database.ask("SELECT count(*) FROM entries WHERE idx < 256 AND kind = 'issued'").parse().expect("a number")
}

/// What `sts-2` says of the sealed file, for which the entries wait. None once they have left.
async fn awaited(world: &World) -> Option<Reading> {
    match journal(&world.running).archive(RETENTION).await {
        Ok(sealed) => {
            assert_eq!(sealed, None, "nothing more is due");
            None
        }
        Err(ArchiveFault::Awaited(awaited)) => {
            assert_eq!(awaited.nodes.len(), 1, "{awaited}");
            let (id, reading) = awaited.nodes.first().expect("one").clone();
            assert_eq!(id.as_str(), "sts-2");
            Some(reading)
        }
        Err(other) => panic!("{other}"),
    }
}

async fn metric(fellow: &Fellow, line: &str) -> bool {
    get(fellow.admin, "/metrics").await.text().lines().any(|one| one == line)
}

/// By the tasks of the nodes alone: the one that runs seals, the other was stopped and reads back when it is there again. Every node reads on
/// what has left.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn entries_leave_once_another_node_has_read_their_file_back() {
    let archive = tempfile::tempdir().expect("a folder");
    let (database, mut world) = aged(archive.path(), "retention = \"30d\"\n").await;
    let mut second = Fellow::started(&world, "sts-2").await;
    let before = journal(&world.running).body(255).await.expect("reads").expect("an entry");
    let due = in_database(&database).await;
    world.stop().await;
    until("the second node seals", async || metric(&second, "carnet_archive_waiting_entries 256").await).await;
    assert_eq!(fs::read_dir(archive.path().join("journal.segments")).expect("a folder").count(), 1);
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    assert_eq!(in_database(&database).await, due, "the first node was there until a moment ago, and has not read it");
    world.boot().await;
    until("they leave", async || in_database(&database).await == 0).await;
    until("nothing waits", async || metric(&second, "carnet_archive_waiting_entries 0").await).await;
    for node in [&world.running, &second.running] {
        assert_eq!(journal(node).body(255).await.expect("reads"), Some(before.clone()));
    }
    minted(&world, second.public).await;
    second.stop().await;
    world.stop().await;
    drop(world);
}

/// A node that sees another folder, or another content there, keeps the entries in the database, and says why.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn entries_stay_while_no_other_node_can_read_their_file() {
    let (archive, other) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let (database, mut world) = aged(archive.path(), "").await;
    let mut second = fellow_with(&world, archive.path(), other.path());
    second.try_boot(&world).await.expect("the node starts");
    second.until_ready().await;
    let due = in_database(&database).await;
    sealed(&database, &world).await;
    let folder = archive.path().join("journal.segments");
    let name = fs::read_dir(&folder).expect("a folder").next().expect("a file").expect("a file").file_name();
    let whole = fs::read(folder.join(&name)).expect("reads");
    let theirs = other.path().join("journal.segments");
    fs::create_dir(&theirs).expect("made");
    let theirs = theirs.join(&name);
    let mut changed = whole.clone();
    *changed.last_mut().expect("not empty") ^= 1;
    for (content, why) in [
        (None, "No such file"),
        (Some(&changed[..]), "it is not the file that was sealed"),
        (Some(&whole[..whole.len() - 1]), "it is not the file that was sealed"),
        (None, "No such file"),
    ] {
        match content {
            Some(content) => fs::write(&theirs, content).expect("written"),
            None => assert!(fs::remove_file(&theirs).is_ok() || why == "No such file"),
        }
        let fault = journal(&second.running).read_back().await.expect_err("it cannot be read");
        assert!(fault.to_string().contains(why), "{fault}");
        until(why, async || match awaited(&world).await.expect("they stay") {
            Reading::Failed(said) => said.contains(why),
            Reading::Nothing => false,
            Reading::Gone => panic!("it lives"),
        })
        .await;
        assert_eq!(in_database(&database).await, due);
        until("it is told", async || metric(&second, "carnet_archive_unreadable 1").await).await;
    }
    fs::write(&theirs, &whole).expect("written");
    until("they leave", async || awaited(&world).await.is_none()).await;
    assert_eq!(in_database(&database).await, 0);
    until("it is told", async || metric(&second, "carnet_archive_unreadable 0").await).await;
    second.stop().await;
    world.stop().await;
    drop(world);
}

/// What a start of a node read is nothing to the next start of it, which may see another folder.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_started_anew_reads_back_again() {
    let (archive, other) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let (database, mut world) = aged(archive.path(), "").await;
    let mut second = Fellow::started(&world, "sts-2").await;
    // While it runs it may read the file back before the one that seals has asked who has.
    second.stop().await;
    let due = in_database(&database).await;
    sealed(&database, &world).await;
    second.try_boot(&world).await.expect("the node starts");
    let said =
        "SELECT count(*) FROM cursors WHERE name = 'archive/sts-2' AND convert_from(body, 'UTF8') LIKE '%\"until\":256%'";
    until("the second node reads it", async || database.ask(said) == "1").await;
    second.stop().await;
    assert_eq!(awaited(&world).await, Some(Reading::Gone), "a node that does not live says nothing");
    moved(&second, archive.path(), other.path());
    second.try_boot(&world).await.expect("the node starts");
    until("it says that it cannot read it now", async || {
        matches!(awaited(&world).await.expect("they stay"), Reading::Failed(_))
    })
    .await;
    assert_eq!(in_database(&database).await, due);
    second.stop().await;
    moved(&second, other.path(), archive.path());
    second.try_boot(&world).await.expect("the node starts");
    until("they leave", async || awaited(&world).await.is_none()).await;
    assert_eq!(in_database(&database).await, 0);
    second.stop().await;
    world.stop().await;
    drop(world);
}

/// A node that was never one of several lets entries leave at once, and one that was does when it has been alone for a day.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_alone_reads_back_itself() {
    let archive = tempfile::tempdir().expect("a folder");
    let (database, mut world) = aged(archive.path(), "").await;
    journal(&world.running).archive(RETENTION).await.expect("seals").expect("a segment");
    assert_eq!(in_database(&database).await, 0);
    world.stop().await;
    drop(world);

    let archive = tempfile::tempdir().expect("a folder");
    let (database, mut world) = aged(archive.path(), "").await;
    Fellow::started(&world, "sts-2").await.stop().await;
    let due = in_database(&database).await;
    sealed(&database, &world).await;
    let ended = |ago: &str| {
        let ended =
            format!("UPDATE nodes SET lease_until = clock_timestamp() - interval '{ago}' WHERE id = 'sts-2' RETURNING 1");
        assert_eq!(database.ask(&ended), "1");
    };
    for ago in ["1 second", "23 hours 59 minutes"] {
        ended(ago);
        assert_eq!(awaited(&world).await, Some(Reading::Gone), "{ago}");
        assert_eq!(in_database(&database).await, due);
    }
    ended("24 hours 1 minute");
    assert_eq!(awaited(&world).await, None);
    assert_eq!(in_database(&database).await, 0);
    world.stop().await;
    drop(world);
}

/// A bucket: what another node cannot read there stays in the database, whatever its server says, and what it can is read there from then on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bucket_keeps_what_leaves_the_database() {
    let mut server = S3::start().await;
    let (database, mut world) = aged_in(&server.lines()).await;
    let before = journal(&world.running).body(255).await.expect("reads").expect("an entry");
    let mut second = Fellow::of(&world, "sts-2");
    let [right, wrong] = ["right", "wrong"].map(|name| format!("{}/{name}\"", server.folder.path().display()));
    rewritten(&second, &right, &wrong);
    second.try_boot(&world).await.expect("the node starts");
    second.until_ready().await;
    let due = in_database(&database).await;
    let segment = sealed(&database, &world).await;
    let [object] = server.objects().try_into().expect("one object");
    let name = format!("0-255.{}", segment.digest);
    assert_eq!(object.file_name().and_then(|found| found.to_str()), Some(&*name));

    // Somebody who may not read it.
    let told = |said: &str, why: &str| {
        assert!(!said.contains("hunter") && !said.contains("X-Amz"), "{said}");
        said.contains(why) && said.contains("s3://carnet/sts/one/")
    };
    until("it may not read", async || match awaited(&world).await.expect("they stay") {
        Reading::Failed(said) => told(&said, "status 403"),
        Reading::Nothing => false,
        Reading::Gone => panic!("it lives"),
    })
    .await;
    // A server that is away says nothing of what is there.
    server.kill();
    let fault = journal(&world.running).archive(RETENTION).await.expect_err("nothing leaves");
    assert!(matches!(fault, ArchiveFault::Segment(_)) && told(&fault.to_string(), "no connection"), "{fault}");
    assert_eq!(in_database(&database).await, due);
    server.run().await;
    // Another content under its name.
    let whole = fs::read(&object).expect("reads");
    let mut changed = whole.clone();
    *changed.last_mut().expect("not empty") ^= 1;
    fs::write(&object, &changed).expect("written");
    let fault = journal(&world.running).archive(RETENTION).await.expect_err("nothing leaves");
    assert!(told(&fault.to_string(), "it is not the file that was sealed"), "{fault}");
    assert_eq!(in_database(&database).await, due);
    fs::write(&object, &whole).expect("written");

    second.stop().await;
    rewritten(&second, &wrong, &right);
    second.try_boot(&world).await.expect("the node starts");
    until("they leave", async || awaited(&world).await.is_none()).await;
    assert_eq!(in_database(&database).await, 0);
    fs::remove_file(&object).expect("removed");
    journal(&second.running).body(255).await.expect_err("it is neither here nor there");
    fs::write(&object, &changed).expect("written");
    journal(&second.running).body(255).await.expect_err("it is another one");
    fs::write(&object, &whole).expect("written");
    for node in [&world.running, &second.running] {
        assert_eq!(journal(node).body(255).await.expect("reads"), Some(before.clone()));
    }
    second.stop().await;
    world.stop().await;
    drop(world);
}
