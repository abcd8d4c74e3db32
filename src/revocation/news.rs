//! Word that there is something new in the journal, from whichever node put it into the live index.
//!
//! Enter through [`Index::news`](super::Index::news). It is a hint and nothing else: whoever hears it reads the journal, and whoever hears
//! nothing reads the journal all the same, only later. So a message may be lost, forged, late or repeated. However many come, one number is
//! kept: the highest.

use std::convert::Infallible;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{PushInfo, PushKind, Value};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use super::away::{Away, RESPONSE_TIME, away};
use super::redis::Redis;
use super::reply::value;

/// How often the connection is tried, so that one that hangs is found.
const TRY_EVERY: Duration = Duration::from_secs(1);

/// The time after which the master is looked for anew, whether or not it answers: it may be one no more.
const LOOK_ANEW: Duration = Duration::from_secs(30);

/// The pause after a connection that could not be made or ended.
const PAUSE: Duration = Duration::from_millis(500);

impl Redis {
    /// Listens, and puts the highest index that it hears of into `heard`. It connects anew whenever the connection ends.
    pub(super) async fn listen(&self, heard: &watch::Sender<u64>) -> Infallible {
        let mut is_well = true;
        loop {
            match self.listen_once(heard).await {
                Ok(()) => is_well = true,
                Err(cause) => {
                    if std::mem::replace(&mut is_well, false) {
                        tracing::warn!(%cause, "no word of news comes from Redis; the journal is read each second all the same");
                    }
                    sleep(PAUSE).await;
                }
            }
        }
    }

    async fn listen_once(&self, heard: &watch::Sender<u64>) -> Result<(), Away> {
        let own = self.channel.clone();
        let told = heard.clone();
        let hears = move |push: PushInfo| {
            if let Some(index) = index(&push, &own) {
                told.send_if_modified(|highest| {
                    let is_news = index > *highest;
                    *highest = (*highest).max(index);
                    is_news
                });
            }
            Ok::<(), Infallible>(())
        };
        let link = self.route_to(&self.channel).await?.link;
        let (up, mut connection) = link.subscribed(hears).await?;
        within(connection.subscribe(&self.channel)).await?;
        let begun = Instant::now();
        while begun.elapsed() < LOOK_ANEW {
            sleep(TRY_EVERY).await;
            ping(&mut connection).await?;
        }
        drop(up);
        Ok(())
    }
}

async fn ping(connection: &mut MultiplexedConnection) -> Result<(), Away> {
    let ping = redis::cmd("PING");
    let told: Value = within(ping.query_async(connection)).await?;
    if matches!(told, Value::ServerError(_)) { Err(Away::Unexpected) } else { Ok(()) }
}

async fn within<T>(asked: impl Future<Output = redis::RedisResult<T>>) -> Result<T, Away> {
    timeout(RESPONSE_TIME, asked).await.map_err(|_| Away::Silent)?.map_err(|fault| away(&fault))
}

/// The index in a message of our channel, if it is one.
fn index(push: &PushInfo, own: &str) -> Option<u64> {
    let (PushKind::Message, [channel, told]) = (&push.kind, push.data.as_slice()) else { return None };
    let text = value::<String>(told).filter(|text| text.len() <= 20)?;
    (value::<String>(channel)? == own).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::revocation::keys::news_channel;

    #[test]
    fn only_an_index_on_our_channel_is_news() {
        let text = |text: &str| Value::BulkString(text.as_bytes().to_vec());
        let push = |kind: PushKind, data: Vec<Value>| PushInfo { kind, data };
        let (own, other) = (news_channel(3), news_channel(0));
        assert_eq!(index(&push(PushKind::Message, vec![text(&own), text("17")]), &own), Some(17));
        let strange = [
            push(PushKind::Message, vec![text(&other), text("17")]),
            push(PushKind::Message, vec![text(&own), text("x")]),
            push(PushKind::Message, vec![text(&own), text("-1")]),
            push(PushKind::Message, vec![text(&own), text("000000000000000000017")]),
            push(PushKind::Message, vec![text(&own)]),
            push(PushKind::Subscribe, vec![text(&own), text("17")]),
            push(PushKind::Disconnection, Vec::new()),
        ];
        for push in strange {
            assert_eq!(index(&push, &own), None, "{push:?}");
        }
    }
}
