//! Tells people by mail what concerns them: at most one digest an hour to each, and at once what does not wait (docs/how-to/operate/mail.md).
//!
//! Enter through [`tell`], the task. It reads the journal on from a cursor, as webhooks do, so everything is on record before anybody is
//! told. [`telling`] says what an entry tells, and whom; the addresses come from records and the people directory when they are needed, so
//! nothing goes to one that was erased. A mail that the server does not accept is sent again, and dropped after a week with an entry of its own.

mod boxes;
mod date;
mod letter;
mod notice;
mod outbox;
mod telling;
mod whom;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

pub use boxes::{Progress, look, resume};
pub use outbox::{Done, Mail};

use self::boxes::{GIVE_UP_AFTER, Waiting};
use self::letter::Told;
use self::notice::{Notice, Urgency};
use self::whom::Away;
use super::Broker;
use super::cause::Cause;
use super::event::{self, Part, parts};
use super::pause::Pause;
use crate::domain::log::entry::{ChangeEntry, Entry};
use crate::domain::log::mail::MailChange;
use crate::domain::people::addressee::Addressee;
use crate::domain::value::clock::Timestamp;
use crate::outbound::mail::Letter;

/// How often the journal and the hour are looked at when no change wakes the task.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How often it is looked whether every owner has an address.
const SCAN_EVERY: Duration = Duration::from_secs(60);

/// The pauses after tries that failed, by recipient.
type Pauses = HashMap<String, (Instant, Pause)>;

/// Tells people, for as long as the node runs.
pub async fn tell(broker: Broker, mail: Arc<Mail>) {
    let mut heads = broker.journal.follow();
    let mut pauses = Pauses::new();
    let mut scanned: Option<Instant> = None;
    loop {
        heads.borrow_and_update();
        // If the journal does not answer, nobody is told in this round.
        let more = sort(&broker, &mail).await.unwrap_or(false);
        if scanned.is_none_or(|at| at.elapsed() >= SCAN_EVERY)
            && let Ok(nobody) = broker.without_address().await
        {
            scanned = Some(Instant::now());
            mail.did(|done| done.nobody = nobody);
        }
        post(&broker, &mail, &mut pauses).await;
        if !more {
            let _woken = tokio::time::timeout(LOOK_EVERY, heads.changed()).await;
        }
    }
}

/// Chooses who is told of new entries. Returns whether there may be more of them.
async fn sort(broker: &Broker, mail: &Mail) -> Result<bool, Away> {
    let entries = broker.journal.changes(mail.progress().next).await?;
    let Some(last) = entries.last().map(|entry| entry.index) else { return Ok(false) };
    let mut chosen: Vec<(String, Waiting)> = Vec::new();
    for entry in &entries {
        for (number, part) in parts(entry).into_iter().enumerate() {
            let view = broker.journal.view();
            let Some(notice) = telling::of(entry, part, &view.state, broker.now()) else { continue };
            let at_once = notice.urgency == Urgency::AtOnce;
            let reached = reach(broker, mail, &notice).await?;
            let since = broker.now();
            let waiting = |whom: Addressee| Waiting { entry: entry.index, part: number, whom, at_once, since };
            chosen.extend(reached.told.into_iter().map(|(recipient, (_, whom))| (recipient, waiting(whom))));
        }
    }
    mail.change(|progress| {
        chosen.into_iter().for_each(|(recipient, waiting)| progress.add(recipient, waiting));
        progress.next = last + 1;
        progress.tidy(broker.now());
    });
    Ok(true)
}

/// The recipients of a notice, each by name with address and role; and those of its addressees who have no address.
struct Reached {
    told: BTreeMap<String, (String, Addressee)>,
    nobody: Vec<Addressee>,
}

/// Finds the addresses of a notice. Security is told where an owner cannot be.
async fn reach(broker: &Broker, mail: &Mail, notice: &Notice) -> Result<Reached, Away> {
    let owners: Vec<Addressee> = notice.addressees().into_iter().filter(|whom| whom.integration().is_some()).collect();
    let found = broker.addresses(&owners).await?;
    let mut reached = Reached { told: BTreeMap::new(), nobody: Vec::new() };
    for (whom, address) in owners.into_iter().zip(found) {
        match address {
            Some(address) => {
                reached.told.entry(mail.mailer.name_of(&address)).or_insert((address, whom));
            }
            None => reached.nobody.push(whom),
        }
    }
    if notice.security || !reached.nobody.is_empty() {
        for address in &mail.security {
            reached.told.entry(mail.mailer.name_of(address)).or_insert((address.clone(), Addressee::Security));
        }
    }
    Ok(reached)
}

/// Sends what is due to each recipient.
async fn post(broker: &Broker, mail: &Mail, pauses: &mut Pauses) {
    let due = mail.progress().due(broker.now());
    pauses.retain(|recipient, _| due.iter().any(|(known, _)| known == recipient));
    for (recipient, waiting) in due {
        if pauses.get(&recipient).is_some_and(|(again, _)| Instant::now() < *again) {
            continue;
        }
        let Ok(written) = write(broker, mail, &recipient, &waiting).await else { return };
        let Some((address, letter, told)) = written else { continue };
        match mail.mailer.send(&address, &letter).await {
            Ok(()) => {
                pauses.remove(&recipient);
                mail.did(|done| done.sent += 1);
                let now = broker.now();
                mail.change(|progress| progress.boxes.entry(recipient).or_default().told(&told, now));
            }
            Err(fault) => {
                mail.did(|done| (done.failed, done.last) = (done.failed + 1, Some(fault)));
                let (again, pause) = pauses.entry(recipient.clone()).or_insert_with(|| (Instant::now(), Pause::default()));
                *again = Instant::now() + pause.take();
                failed(broker, mail, &recipient, &told).await;
                // The others would wait as long for the same server.
                if fault.is_of_server() {
                    return;
                }
            }
        }
    }
}

/// Writes the mail for a recipient; none where nothing is left to tell. What goes to another address now is moved there.
async fn write(
    broker: &Broker,
    mail: &Mail,
    recipient: &str,
    waiting: &[Waiting],
) -> Result<Option<(String, Letter, Vec<Waiting>)>, Away> {
    let (mut told, mut sent, mut done, mut moved) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut to = None;
    for one in waiting {
        let Some(notice) = again(broker, one).await? else {
            done.push(one.clone());
            continue;
        };
        let reached = reach(broker, mail, &notice).await?;
        match reached.told.get(recipient) {
            Some((address, _)) => {
                to.get_or_insert_with(|| address.clone());
                sent.push(one.clone());
                told.push(Told { entry: one.entry, notice, nobody: reached.nobody });
            }
            None => {
                done.push(one.clone());
                let told = |as_whom: &Addressee| -> Vec<String> {
                    let known = reached.told.iter().filter(|(_, (_, whom))| whom == as_whom);
                    known.map(|(other, _)| other.clone()).collect()
                };
                // Security in the place of somebody whose address is gone meanwhile.
                let others = Some(told(&one.whom)).filter(|others| !others.is_empty());
                let others = others.unwrap_or_else(|| told(&Addressee::Security));
                moved.extend(others.into_iter().map(|other| (other, one.clone())));
            }
        }
    }
    let now = broker.now();
    if !done.is_empty() {
        mail.change(|progress| {
            let mailbox = progress.boxes.entry(recipient.to_owned()).or_default();
            mailbox.take_out(&done);
            moved.into_iter().for_each(|(other, one)| progress.add(other, one));
            progress.tidy(now);
        });
    }
    let Some(address) = to else { return Ok(None) };
    let (view, first) = (broker.journal.view(), told.first().map_or(0, |one| one.entry));
    let dropped = mail.progress().boxes.get(recipient).map_or(0, |mailbox| mailbox.dropped);
    let (subject, text) = letter::written(told, mail.console.as_deref(), dropped);
    let id = format!("{}.{}", event::id(view.state.epoch, first, Part::Whole), recipient);
    Ok(Some((address, Letter { subject, text, id, date: now.in_mail() }, sent)))
}

/// What a notice that waits tells now; none where nothing is left to tell.
async fn again(broker: &Broker, waiting: &Waiting) -> Result<Option<Notice>, Away> {
    let Some(Entry::Change(entry)) = broker.journal.entry(waiting.entry).await? else { return Ok(None) };
    let entry: &ChangeEntry = &entry;
    let part = parts(entry).into_iter().nth(waiting.part);
    let view = broker.journal.view();
    Ok(part.and_then(|part| telling::of(entry, part, &view.state, broker.now())))
}

/// Notes that a mail was not taken, and gives up those of its notices whose time is over.
async fn failed(broker: &Broker, mail: &Mail, recipient: &str, told: &[Waiting]) {
    let now = broker.now();
    let mut since = now;
    mail.change(|progress| {
        let mailbox = progress.boxes.entry(recipient.to_owned()).or_default();
        since = *mailbox.failing.get_or_insert(now);
    });
    let old: Vec<Waiting> = told.iter().filter(|one| now.since(one.since) >= GIVE_UP_AFTER).cloned().collect();
    let Some((first, whom)) = old.iter().map(|one| (one.entry, one.whom.clone())).min() else { return };
    let notices = u64::try_from(old.len()).unwrap_or(u64::MAX);
    let change = MailChange::GivenUp { recipient: whom.clone(), since, first, notices };
    let recorded = broker.change_as(Cause::Broker, None, |_, _: Timestamp| Ok::<_, ()>(change.clone())).await;
    // Until it is on record, it is tried again.
    if let Ok(Ok(_)) = recorded {
        tracing::error!(%whom, %since, notices, "a mail was given up");
        mail.did(|done| done.given_up += 1);
        mail.change(|progress| progress.boxes.entry(recipient.to_owned()).or_default().take_out(&old));
    }
}
