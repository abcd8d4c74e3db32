//! Connects to a Redis that is a master, and finds it where that takes asking.

use std::sync::Arc;
use std::time::Duration;

use redis::aio::{AsyncPushSender, MultiplexedConnection};
use redis::{AsyncConnectionConfig, Cmd, ProtocolVersion, RedisConnectionInfo, RedisResult, Value};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::away::{Away, away};
use super::place::{Address, Place};
use super::reply::value;

/// The requests that may wait in one connection; each is a pipeline.
const PIPELINES: usize = 1024;

/// The longest that a sentinel is waited for. All are asked at once.
const SENTINEL_TIME: Duration = Duration::from_millis(200);

/// Who gets what others publish.
type Hears = Arc<dyn AsyncPushSender>;

/// A way to one server.
pub(super) struct Dial {
    place: Arc<Place>,
    to: To,
}

/// Which server it leads to.
pub(super) enum To {
    /// The master at this address.
    Master(Address),
    /// Whatever is at this address: it is asked for nothing but where others are.
    Any(Address),
    /// The master that sentinels name.
    Named {
        /// The sentinels.
        sentinels: Vec<Address>,
        /// The name.
        master: String,
    },
}

impl Dial {
    pub fn new(place: Arc<Place>, to: To) -> Self {
        Self { place, to }
    }

    /// Connects, signs in, and makes certain that it is a master.
    pub async fn connect(&self) -> Result<Up, Away> {
        Ok(self.connected(None).await?.0)
    }

    /// The same, with what others publish given to `hears`. Such a connection speaks RESP3, in which news and answers go side by side.
    pub async fn subscribed(&self, hears: impl AsyncPushSender) -> Result<(Up, MultiplexedConnection), Away> {
        self.connected(Some(Arc::new(hears))).await
    }

    async fn connected(&self, hears: Option<Hears>) -> Result<(Up, MultiplexedConnection), Away> {
        match &self.to {
            To::Master(address) => self.master(address, hears).await,
            To::Any(address) => self.open(address, true, hears).await,
            To::Named { sentinels, master } => {
                let mut why = Away::Silent;
                for address in self.named(sentinels, master).await {
                    match self.master(&address, hears.clone()).await {
                        Ok(up) => return Ok(up),
                        Err(fault) => why = fault,
                    }
                }
                Err(why)
            }
        }
    }

    async fn master(&self, address: &Address, hears: Option<Hears>) -> Result<(Up, MultiplexedConnection), Away> {
        let (up, mut connection) = self.open(address, true, hears).await?;
        let role: RedisResult<Value> = Cmd::new().arg("ROLE").query_async(&mut connection).await;
        match role.map_err(|fault| away(&fault))? {
            Value::Array(told) if told.first().is_some_and(is_master) => Ok((up, connection)),
            _ => Err(Away::ReadOnly),
        }
    }

    /// The addresses that sentinels name, those that most of them name first.
    async fn named(&self, sentinels: &[Address], master: &str) -> Vec<Address> {
        let mut asked = JoinSet::new();
        for sentinel in sentinels {
            let dial = Self::new(Arc::clone(&self.place), To::Any(sentinel.clone()));
            let master = master.to_owned();
            asked.spawn(async move { timeout(SENTINEL_TIME, dial.ask_sentinel(&master)).await.ok().flatten() });
        }
        let mut named: Vec<(Address, usize)> = Vec::new();
        for address in asked.join_all().await.into_iter().flatten() {
            match named.iter_mut().find(|(known, _)| *known == address) {
                Some((_, voices)) => *voices += 1,
                None => named.push((address, 1)),
            }
        }
        named.sort_by_key(|(_, voices)| std::cmp::Reverse(*voices));
        named.into_iter().map(|(address, _)| address).collect()
    }

    /// Asks a sentinel for a master. It is told the password only if it asks for one.
    async fn ask_sentinel(&self, master: &str) -> Option<Address> {
        let To::Any(address) = &self.to else { return None };
        for signs_in in [false, true] {
            if signs_in && self.place.password.is_none() {
                return None;
            }
            let Ok((_up, mut connection)) = self.open(address, signs_in, None).await else { continue };
            let mut ask = redis::cmd("SENTINEL");
            ask.arg("GET-MASTER-ADDR-BY-NAME").arg(master);
            match ask.query_async::<Value>(&mut connection).await {
                Ok(Value::Array(told)) => {
                    let [host, port] = told.as_slice() else { return None };
                    return Some(Address::new(value::<String>(host)?, value(port)?));
                }
                Ok(_) => return None,
                Err(fault) if away(&fault) == Away::Unauthorised => {}
                Err(_) => return None,
            }
        }
        None
    }

    async fn open(&self, address: &Address, signs_in: bool, hears: Option<Hears>) -> Result<(Up, MultiplexedConnection), Away> {
        let stream = TcpStream::connect((address.host.as_str(), address.port)).await.map_err(|_| Away::Silent)?;
        stream.set_nodelay(true).map_err(|_| Away::Silent)?;
        let Some(tls) = &self.place.tls else { return self.sign_in(stream, signs_in, hears).await };
        let name = ServerName::try_from(address.host.clone()).map_err(|_| Away::Untrusted)?;
        match TlsConnector::from(Arc::clone(tls)).connect(name, stream).await {
            Ok(stream) => self.sign_in(stream, signs_in, hears).await,
            // The certificate is not believed, or it speaks no TLS.
            Err(fault) if fault.kind() == std::io::ErrorKind::InvalidData => Err(Away::Untrusted),
            Err(_) => Err(Away::Silent),
        }
    }

    async fn sign_in<S>(&self, stream: S, signs_in: bool, hears: Option<Hears>) -> Result<(Up, MultiplexedConnection), Away>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let mut login = RedisConnectionInfo::default().set_skip_set_lib_name();
        if !matches!(self.to, To::Any(_)) {
            // Neither sentinels nor clusters have databases.
            login = login.set_db(i64::from(self.place.database));
        }
        if signs_in {
            if let Some(password) = &self.place.password {
                login = login.set_password(password.as_str());
            }
            if let Some(username) = &self.place.username {
                login = login.set_username(username);
            }
        }
        // The time of an answer is bounded by who asks.
        let mut config = AsyncConnectionConfig::new().set_response_timeout(None).set_pipeline_buffer_size(PIPELINES);
        if let Some(hears) = hears {
            login = login.set_protocol(ProtocolVersion::RESP3);
            config = config.set_push_sender(hears);
        }
        let connected = MultiplexedConnection::new_with_config(&login, stream, config).await;
        let (connection, driver) = connected.map_err(|fault| away(&fault))?;
        Ok((Up { connection: connection.clone(), driver: tokio::spawn(driver).abort_handle() }, connection))
    }
}

/// A connection, which ends with its last user.
pub(super) struct Up {
    pub connection: MultiplexedConnection,
    pub driver: AbortHandle,
}

impl Drop for Up {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

fn is_master(role: &Value) -> bool {
    matches!(role, Value::BulkString(role) if role == b"master")
}
