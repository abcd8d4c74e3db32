//! A broker that is put together and serves nobody: what must hold inside when a part of it is held up.

use super::*;
use crate::broker::revocation::Revoke;
use crate::domain::credential::revocation::RevocationTarget;
use crate::domain::people::actor::Actor;
use crate::journal::Ended;
use crate::server::{OsEntropy, SystemClock};

const CONFIGURATION: &str = r#"
[journal]
url = "sqlite://FOLDER/journal.db"
origin = "test.example/carnet"
[keys]
kek_file = "kek"
[staff]
issuer = "https://staff.example"
audience = "carnet"
roles = { security = ["security"] }
[environments.production]
issuer = "http://127.0.0.1:7400/production"
max_ttl = "10m"
[listen]
public = "127.0.0.1:7400"
admin = "127.0.0.1:7401"
"#;

async fn broker(folder: &tempfile::TempDir) -> Broker {
    let file = folder.path().join("carnet.toml");
    std::fs::write(&file, CONFIGURATION.replace("FOLDER", &folder.path().display().to_string())).expect("written");
    Kek::create(&folder.path().join("kek"), &OsEntropy).expect("a key-encryption key");
    let config = crate::config::load(&file).expect("a valid configuration");
    let kek = Kek::load(&config.keys.kek_file).expect("a key-encryption key");
    let foundation = Foundation { kek, journal: journal_settings(&config) };
    let system = System { clock: Arc::new(SystemClock), entropy: Arc::new(OsEntropy) };
    let (broker, _) = furnish(&config, foundation, &system, "http://localhost:7401").await.expect("a broker");
    prepare(&broker, &config).await.expect("prepared");
    broker
}

/// Whoever may read the journal could hold a revocation up: the count of living tokens was read before the revocation was recorded.
#[tokio::test]
async fn a_revocation_is_on_record_while_every_reader_of_the_journal_is_busy() {
    let folder = tempfile::tempdir().expect("a folder");
    let broker = broker(&folder).await;
    let busy = broker.journal.hold_readers().await;
    let subject = RevocationTarget::Partner { partner: "globex".parse().expect("a name") };
    let asked = Revoke { subject, client: None, tokens_only: false, reason: "leaked".to_owned() };
    let revoked = broker.revoke(Actor::Operator, asked, None);
    let revoked = tokio::time::timeout(Duration::from_secs(5), revoked).await.expect("it waits for no reader");
    let Ok((id, cut)) = revoked else { panic!("refused") };
    assert!(broker.journal.view().state.revocations.contains_key(&id));
    // The count is there once somebody can read.
    drop(busy);
    assert_eq!(broker.ended(&cut).await, Some(Ended::default()));
}
