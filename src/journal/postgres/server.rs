//! A database for each test of the journal, on the server of this test process.

use std::path::{Path, PathBuf};

use super::address::{PostgresAddress, PostgresPlace};
use super::cluster::Cluster;
use super::connection::Connection;

/// The folder with the server's socket, and the name of a new, empty database.
pub async fn database() -> (PathBuf, String) {
    let cluster = Cluster::shared();
    (cluster.folder.clone(), cluster.database())
}

/// The address of a database whose server has its socket in this folder.
pub fn address(folder: &Path, database: &str) -> PostgresAddress {
    let hosts = vec![(folder.display().to_string(), 5432)];
    let (user, database) = ("carnet".to_owned(), database.to_owned());
    PostgresAddress::new(PostgresPlace { user, database, hosts, ..PostgresPlace::default() })
}

/// Runs statements in a database, as another hand does.
pub async fn by_another_hand(address: &PostgresAddress, statements: &str) {
    let connection = Connection::to(address).await.expect("connects");
    connection.client.batch_execute(statements).await.expect("runs");
}
