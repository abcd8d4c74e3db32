//! A proxy between a node and its server, which holds up what was sent, or loses what is answered.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Notify, mpsc, watch};

/// The name of a socket, as clients of PostgreSQL look for it.
const SOCKET: &str = ".s.PGSQL.5432";

/// The proxy. Its connections are those of the time before or after each [`Proxy::hold`].
pub struct Proxy {
    _folder: tempfile::TempDir,
    /// Whether what comes next on the present connections is held, and what to do with it then.
    held: Mutex<watch::Sender<bool>>,
    loses: Arc<AtomicBool>,
    round_trips: Arc<AtomicU64>,
    delivered: mpsc::Sender<()>,
    deliveries: Mutex<Option<mpsc::Receiver<()>>>,
}

/// What is held up.
pub struct Held(watch::Sender<bool>, mpsc::Receiver<()>);

impl Proxy {
    /// Before the server whose socket is in `folder`. Its own is in the folder that it returns.
    pub async fn before(folder: &Path) -> (Arc<Self>, PathBuf) {
        let own = tempfile::tempdir().expect("a folder");
        let (path, server) = (own.path().to_owned(), folder.join(SOCKET));
        let listener = UnixListener::bind(path.join(SOCKET)).expect("a socket");
        let (delivered, deliveries) = mpsc::channel(8);
        let proxy = Arc::new(Self {
            _folder: own,
            held: Mutex::new(watch::channel(false).0),
            loses: Arc::default(),
            round_trips: Arc::default(),
            delivered,
            deliveries: Mutex::new(Some(deliveries)),
        });
        let accepting = Arc::downgrade(&proxy);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let Some(proxy) = accepting.upgrade() else { return };
                let server = UnixStream::connect(&server).await.expect("the server");
                proxy.carry(client, server);
            }
        });
        (proxy, path)
    }

    fn carry(&self, client: UnixStream, server: UnixStream) {
        let held = self.held.lock().expect("no panic").subscribe();
        let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
        let answered = Arc::new(AtomicBool::new(true));
        let (cut, lost) = (Arc::new(Notify::new()), Arc::clone(&self.loses));
        let answers = tokio::spawn(answers((from_server, to_client), Arc::clone(&answered), lost, Arc::clone(&cut)));
        let (trips, delivered) = (Arc::clone(&self.round_trips), self.delivered.clone());
        tokio::spawn(async move {
            let count = || {
                if answered.swap(false, Ordering::SeqCst) {
                    trips.fetch_add(1, Ordering::SeqCst);
                }
            };
            requests((from_client, to_server), held, count).await.deliver(&cut, answers, delivered).await;
        });
    }

    /// Holds up what is sent next on the connections that there are; the sender finds its connection broken.
    pub fn hold(&self) -> Held {
        let held = std::mem::replace(&mut *self.held.lock().expect("no panic"), watch::channel(false).0);
        held.send_replace(true);
        Held(held, self.deliveries.lock().expect("no panic").take().expect("held once"))
    }

    /// Loses the next answer, and its connection with it.
    pub fn lose_answers(&self) {
        self.loses.store(true, Ordering::SeqCst);
    }

    /// How often something was sent after an answer.
    pub fn round_trips(&self) -> u64 {
        self.round_trips.load(Ordering::SeqCst)
    }
}

impl Held {
    /// Delivers what was held up, and waits until the server has done with it.
    pub async fn deliver(mut self) {
        self.0.send_replace(false);
        self.1.recv().await.expect("delivered");
    }
}

async fn answers(
    (mut from, to): (OwnedReadHalf, OwnedWriteHalf),
    answered: Arc<AtomicBool>,
    loses: Arc<AtomicBool>,
    cut: Arc<Notify>,
) {
    let (mut bytes, mut to) = (vec![0; 65_536], Some(to));
    loop {
        let read = tokio::select! {
            read = from.read(&mut bytes) => read,
            () = cut.notified() => {
                to = None;
                continue;
            }
        };
        let Ok(count @ 1..) = read else { return };
        answered.store(true, Ordering::SeqCst);
        if loses.swap(false, Ordering::SeqCst) {
            to = None;
        }
        // A client that is gone gets nothing, and the server is heard to its end.
        if let Some(client) = &mut to
            && client.write_all(&bytes[..count]).await.is_err()
        {
            to = None;
        }
    }
}

/// What a client sent that was held up, and the way to the server.
struct HeldUp {
    bytes: Vec<u8>,
    to: OwnedWriteHalf,
    held: watch::Receiver<bool>,
}

/// Carries requests until the client is gone, or something is held up.
async fn requests(
    (mut from, mut to): (OwnedReadHalf, OwnedWriteHalf),
    held: watch::Receiver<bool>,
    count: impl Fn(),
) -> HeldUp {
    let mut bytes = vec![0; 65_536];
    while let Ok(read @ 1..) = from.read(&mut bytes).await {
        count();
        if *held.borrow() {
            bytes.truncate(read);
            return HeldUp { bytes, to, held };
        }
        if to.write_all(&bytes[..read]).await.is_err() {
            break;
        }
    }
    HeldUp { bytes: Vec::new(), to, held }
}

impl HeldUp {
    /// Breaks the client's connection, and delivers what it sent when that is wanted.
    async fn deliver(mut self, cut: &Notify, answers: tokio::task::JoinHandle<()>, delivered: mpsc::Sender<()>) {
        cut.notify_one();
        if self.bytes.is_empty() {
            return;
        }
        drop(self.held.wait_for(|held| !held).await);
        // The server may have ended the connection itself.
        let _ended = self.to.write_all(&self.bytes).await;
        let _ended = self.to.shutdown().await;
        // It ends when it has read everything.
        let _ended = answers.await;
        let _told = delivered.send(()).await;
    }
}
