//! Reads are exact, in order, and of one moment.

use super::super::query::Query;
use super::super::read::Read;
use super::super::row::{Issuance, LastUses, Outside};
use super::super::snapshot::Checked;
use super::beside::{blob, text};
use super::*;
use crate::domain::credential::revocation::Clients;
use crate::domain::examples::Examples;
use crate::domain::log::entry::{ChangeEntry, Entry};
use crate::domain::state::State;
use crate::domain::state::about::About;

pub async fn ranges_are_exact(store: &dyn Candidate) {
    let mut node = Node::on(store, None).await;
    for number in 0..10 {
        let (token, change) = (format!("{{\"token\":{number}}}"), format!("{{\"change\":{number}}}"));
        let client = if number % 2 == 0 { "globex/order-sync" } else { "globexx/order-sync" };
        node.write_at(Way::AtOnce, &[(ISSUED, client, &token)], &[], number * 86_400).await;
        let kind = if number == 3 { "journal.archived" } else { CHANGE };
        node.write_at(Way::StepByStep, &[(kind, "partner:globex", &change)], &[], number * 86_400 + 1).await;
    }
    let numbers = |bodies: Vec<String>, what: &str| -> Vec<String> {
        let all = bodies.iter().map(|body| body.strip_prefix(&format!("{{\"{what}\":")).expect("that kind").replace('}', ""));
        all.collect()
    };
    let reader = &*node.reader;
    assert_eq!(reader.bodies(3, 6).await.expect("reads"), ["{\"change\":1}", "{\"token\":2}", "{\"change\":2}"]);
    assert_eq!(reader.bodies(19, 40).await.expect("reads").len(), 1);
    assert!(reader.bodies(20, 40).await.expect("reads").is_empty() && reader.bodies(5, 5).await.expect("reads").is_empty());
    assert_eq!(numbers(reader.changes(0, 3).await.expect("reads"), "change"), ["0", "1", "2"]);
    assert_eq!(numbers(reader.changes(6, 2).await.expect("reads"), "change"), ["3", "4"]);
    assert_eq!(reader.changes_of_kind("journal.archived").await.expect("reads"), [(7, "{\"change\":3}".to_owned())]);
    assert_eq!(reader.changes_of_kind(CHANGE).await.expect("reads").len(), 9);
    // The kind of a token is not that of a change.
    assert!(reader.changes_of_kind(ISSUED).await.expect("reads").is_empty());

    let one = Clients::One("globex/order-sync".parse().expect("a client"));
    let partner = Clients::Of("globex".parse().expect("a partner"));
    assert_eq!(numbers(reader.issued(0, 20, None, 4).await.expect("reads"), "token"), ["0", "1", "2", "3"]);
    assert_eq!(numbers(reader.issued(2, 6, None, 100).await.expect("reads"), "token"), ["1", "2"]);
    for clients in [one, partner] {
        let found = reader.issued(2, 20, Some(&clients), 3).await.expect("reads");
        assert_eq!(numbers(found, "token"), ["2", "4", "6"], "{clients:?}");
    }
    // Entries 5 and 20 are a change and none; the order is that of the log.
    let bodies = reader.bodies_at(&[8, 2, 5, 20]).await.expect("reads");
    assert_eq!(bodies, ["{\"token\":1}", "{\"change\":2}", "{\"token\":4}"]);
    assert!(reader.bodies_at(&[]).await.expect("reads").is_empty());
    let day = at(0).as_seconds() / 86_400;
    let days = reader.issued_by_day("globex/order-sync", 1, at(0)).await.expect("reads");
    assert_eq!(days, [(day + 2, 1), (day + 4, 1), (day + 6, 1), (day + 8, 1)]);
    assert_eq!(reader.issued_by_day("globex/order-sync", 0, at(4 * 86_400 + 1)).await.expect("reads").len(), 2);
    assert_eq!(reader.time_from(5).await.expect("reads"), Some(at(2 * 86_400 + 1)));
    assert_eq!(reader.time_from(20).await.expect("reads"), None);

    let until = at(900).as_seconds();
    for client in ["globex/a", "initech/b"] {
        node.write_at(Way::StepByStep, &[(ISSUED, client, &format!("{{\"exp\":{until}}}"))], &[], 900_000).await;
        node.write_at(Way::StepByStep, &[(CHANGE, client, "{}")], &[], 900_000).await;
    }
    let reader = &*node.reader;
    let place = |index, subject: &str| Issuance { index, expires: at(900), subject: subject.into() };
    assert_eq!(reader.issuances(20, 24).await.expect("reads"), [place(20, "globex/a"), place(22, "initech/b")]);
    assert_eq!(reader.issuances(21, 22).await.expect("reads"), []);
    // An issuance says when its token ends, or the store is not ours.
    assert!(reader.issuances(0, 24).await.is_err());
}

pub async fn queries_find_what_they_ask_for(store: &dyn Candidate) {
    let mut node = Node::on(store, None).await;
    for number in 0..30_i64 {
        let (token, change) = (format!("t{number}"), "{\"by\":\"operator\",\"client\":\"globex/a\"}");
        let client = if number % 3 == 0 { "globex/a" } else { "initech/b" };
        node.write_at(Way::AtOnce, &[(ISSUED, client, &token), (REFUSED, client, "{}")], &[], number).await;
        let subject = if number % 2 == 0 { "token:t" } else { "api:orders" };
        node.write_at(Way::StepByStep, &[(CHANGE, subject, change)], &[], number).await;
    }
    let all = || Query { limit: Some(1000), ..Query::default() };
    let cases = [
        (Query::default(), 90),
        (Query { from: 10, to: Some(13), ..all() }, 3),
        (Query { kind: Some(ISSUED.to_owned()), ..all() }, 30),
        (Query { subject: Some("globex/a".to_owned()), ..all() }, 20),
        (Query { request_id: Some("request-3".parse().expect("an id")), ..all() }, 1),
        (Query { token: Some("token-6".parse().expect("an id")), ..all() }, 1),
        (Query { since: Some(at(10)), until: Some(at(12)), ..all() }, 6),
        (Query { actor: Some("operator".to_owned()), ..all() }, 30),
        (Query { actor: Some("globex/a".to_owned()), ..all() }, 20),
        (Query { kind: Some(REFUSED.to_owned()), ..all() }, 30),
        (Query { kind: Some(CHANGE.to_owned()), from: 3, to: Some(9), ..all() }, 2),
        (Query { token: Some("token-6".parse().expect("an id")), kind: Some(REFUSED.to_owned()), ..all() }, 0),
        (Query { kind: Some("no.such-kind".to_owned()), ..all() }, 0),
        (Query { from: 90, ..all() }, 0),
    ];
    for (query, count) in cases {
        let forwards = Read::list(&*node.reader, &query).await.expect("reads");
        assert_eq!(forwards.len(), count, "{query:?}");
        assert_eq!(Read::look(&*node.reader, &query).await.expect("reads"), forwards, "{query:?}");
        let backwards = Query { newest_first: true, ..query.clone() };
        let mut turned = Read::list(&*node.reader, &backwards).await.expect("reads");
        turned.reverse();
        assert_eq!(turned, forwards, "{query:?}");
        assert_eq!(Read::count(&*node.reader, &query, 1000).await.expect("reads"), Some(count as u64), "{query:?}");
    }
    let few = Query { kind: Some(ISSUED.to_owned()), limit: Some(2), ..Query::default() };
    assert_eq!(Read::list(&*node.reader, &few).await.expect("reads"), ["t0", "t1"]);
    let newest = Query { newest_first: true, ..few };
    assert_eq!(Read::list(&*node.reader, &newest).await.expect("reads"), ["t29", "t28"]);
    assert_eq!(Read::count(&*node.reader, &newest, 7).await.expect("reads"), Some(7), "at most so many");
}

/// A store judges its rows as the entries that have left it are judged: each example of a change is found by both or by neither.
pub async fn a_query_about_a_partner_finds_what_names_it(store: &dyn Candidate) {
    let mut node = Node::on(store, None).await;
    let (mut state, mut entries) = (State::default(), Vec::new());
    for (index, example) in (0..).zip(Examples::sealed().changes()) {
        state.apply(index, at(0), &example.change);
        let (subject, kind) = (example.change.what.subject(), example.change.what.kind());
        let entry =
            ChangeEntry { index, time: at(0), subject: subject.clone(), request_id: None, prior: None, change: example.change };
        let body = serde_json::to_string(&entry).expect("JSON");
        node.write(Way::StepByStep, &[(kind, &subject, &body)], &[]).await;
        entries.push((Entry::Change(Box::new(entry)), body));
    }
    node.write(Way::AtOnce, &[(ISSUED, "globex/order-sync", "{}"), (ISSUED, "globexx/order-sync", "{}")], &[]).await;
    let mut kinds = std::collections::BTreeSet::new();
    for partner in ["globex", "umbrella", "initech", "glob", "globexx"] {
        let about = Some(About::of(&partner.parse().expect("a name"), &state));
        let query = Query { about, changes_alone: true, limit: Some(1000), ..Query::default() };
        let wanted = entries.iter().filter(|(entry, _)| query.wants(entry));
        kinds.extend(wanted.clone().map(|(entry, _)| (partner, entry.kind())));
        let wanted: Vec<&str> = wanted.map(|(_, body)| body.as_str()).collect();
        assert_eq!(Read::list(&*node.reader, &query).await.expect("reads"), wanted, "{partner}");
        assert_eq!(Read::count(&*node.reader, &query, 1000).await.expect("reads"), Some(wanted.len() as u64), "{partner}");
        let tokens = if partner.starts_with("globex") { 1 } else { 0 };
        let all = Query { changes_alone: false, ..query };
        assert_eq!(Read::list(&*node.reader, &all).await.expect("reads").len(), wanted.len() + tokens, "{partner}");
    }
    for named in [
        ("globex", "dates.noticed"),
        ("globex", "tokens.cut"),
        ("globex", "revocation.added"),
        ("umbrella", "review.decided"),
        ("globex", "elevation.asked"),
        ("umbrella", "owner.resolved"),
        ("umbrella", "review.campaign-asked"),
    ] {
        assert!(kinds.contains(&named), "{named:?} in {kinds:?}");
    }
    assert!(!kinds.iter().any(|(partner, _)| *partner == "glob"), "{kinds:?}");
}

pub async fn what_stands_after_an_entry_is_read_with_the_end(store: &dyn Candidate) {
    let mut node = Node::on(store, None).await;
    assert_eq!(node.reader.since(0, 10).await.expect("reads").news, []);
    let (one, two) = ((ISSUED, "globex/order-sync", "{\"alone\":1}"), (REFUSED, "globex/order-sync", "{\"n\":2}"));
    node.write(Way::StepByStep, &[one], &[proof(1, 1000)]).await;
    node.write(Way::AtOnce, &[one, two], &[proof(2, 1000)]).await;
    node.change("{\"number\":3}", Beside::default()).await;
    let since = node.reader.since(0, 10).await.expect("reads");
    assert_eq!(since.found, node.found());
    assert!(node.key.sums.open(&since.sums, &node.head).is_some(), "the sums of this head");
    let alone: Vec<Option<&str>> =
        since.news.iter().map(|news| Some(std::str::from_utf8(news.alone.as_deref()?).expect("text"))).collect();
    assert_eq!(alone, [Some("{\"alone\":1}"), None, Some("{\"number\":3}")], "an entry that shares its batch is not read");
    let mut prior = Head::empty();
    for news in &since.news {
        let batch = &news.batch;
        assert_eq!((batch.first, batch.prior_root, batch.prior_change), (prior.size, prior.root, prior.last_change));
        assert_eq!(news.leaves.len() as u64, batch.size_after - batch.first);
        assert!(node.key.verifies(&batch.mac, batch.prior_root, batch.first, batch.prior_change, &news.leaves));
        prior = Head { size: batch.size_after, root: batch.root, ..prior };
    }
    assert_eq!((prior.size, prior.root), (node.head.size, node.head.root));
    assert_eq!(
        node.reader.since(1, 1).await.expect("reads").news,
        since.news[1..2],
        "from an entry on, and no more than asked for"
    );
    assert_eq!(node.reader.since(node.head.size, 10).await.expect("reads").news, []);
}

/// Pages of a head, each read after others wrote, erased and let entries leave: all is of that head, or says that it went on.
pub async fn a_head_is_read_by_pages_while_others_write(store: &dyn Candidate) {
    let mut node = Node::on(store, None).await;
    let (mary, raj) = (text("Mary"), text("Raj"));
    let said = Beside { texts: vec![mary.clone(), raj.clone()], sealed: vec![blob("one")], ..Beside::default() };
    node.change("{\"first\":1}", said).await;
    let tokens: Vec<Said> = (0..599).map(|_| (ISSUED, "globex/order-sync", "{}")).collect();
    node.write(Way::StepByStep, &tokens, &[proof(1, 1000)]).await;
    let reader = node.reader.clone();
    let mut early = reader.snapshot().await.expect("reads");
    let end = early.end().await.expect("reads").expect("a head");
    assert_eq!((end.head.clone(), end.rows), (node.head.clone(), 600));

    let mut seen = Vec::new();
    for from in [0, 256, 512] {
        let rows = early.page(from).await.expect("reads");
        seen.extend(rows.iter().map(|row| row.entry.index).filter(|index| *index < from + 256));
        assert_eq!(early.tile(0, from / 256).await.expect("reads").is_some(), from < 512, "of the tree at the head");
        let (client, spends) = (format!("globex/at-{from}"), [proof(100 + from, 1000)]);
        node.write_at(Way::AtOnce, &[(ISSUED, "globex/order-sync", "{}"), (ISSUED, &client, "{}")], &spends, 1).await;
        if from == 0 {
            let gone = Beside {
                erased: vec![mary.digest],
                sealed: vec![blob("two")],
                spent: vec![proof(2, 1000)],
                ..Beside::default()
            };
            node.change("{\"second\":1}", gone).await;
            node.writer.leave(256, 512).await.expect("leave");
            let many: Vec<Said> = (0..300).map(|_| (REFUSED, "globex/order-sync", "{}")).collect();
            node.write_at(Way::StepByStep, &many, &[], 2).await;
        }
    }
    let (all, left): (Vec<u64>, Vec<u64>) = ((0..600).collect(), (0..256).chain(512..600).collect());
    assert!(seen == all || seen == left, "{seen:?}");
    assert_eq!(early.end().await.expect("reads"), Some(end.clone()));
    assert_eq!(early.entries(512).await.expect("reads").len(), 88);
    assert_eq!(early.leaves(512).await.expect("reads").len(), 88);
    assert_eq!(early.newest_batch().await.expect("reads").map(|batch| batch.size_after), Some(600));
    assert_eq!(early.batches(0, 10_000).await.expect("reads").len(), 2);
    assert_eq!(early.changes(0, 10).await.expect("reads").len(), 1);
    assert!(!early.changes_of_kind(CHANGE).await.expect("reads").is_empty());
    assert_eq!(early.outside().await.expect("reads"), Outside::default());
    let (mut spent, mut place) = (Vec::new(), None);
    loop {
        let page = early.spent(place).await.expect("reads");
        spent.extend(page.rows.iter().map(|row| ProofKey(row.proof)));
        place = page.next;
        if place.is_none() {
            break;
        }
    }
    assert_eq!(spent, [proof(1, 0).0], "those that were spent at the head");
    let LastUses { at_head, since } = early.last_uses().await.expect("reads");
    let kept = at_head.iter().map(|last| (&*last.subject, last.index)).collect::<Vec<_>>();
    assert!(kept == [("globex/order-sync", 599)] || (kept.is_empty() && since.iter().any(|name| name == "globex/order-sync")));
    let texts = early.texts(None).await.expect("reads");
    for one in &texts {
        let wanted = if one.digest.0 == mary.digest.0 { &mary } else { &raj };
        assert_eq!((one.digest.0, one.said.clone()), (wanted.digest.0, Some((wanted.salt, wanted.text.clone()))));
    }
    assert!(texts.iter().any(|one| one.digest.0 == raj.digest.0));
    let keyring = early.keyring().await.expect("reads");
    assert!(keyring.is_none() || keyring == Some(vec![blob("one")]), "of the head, or of none");
    for tables in [Checked::All, Checked::InMemory] {
        assert!(early.check_sums(&node.key.sums, &end.head, tables).await.expect("sums"));
    }
    early.end_reading().await.expect("ends");
    assert_eq!(node.end().await, node.found(), "a new one sees what was written");
}

pub async fn a_snapshot_has_the_changes_with_their_batches(store: &dyn Candidate) {
    let mut node = Node::on(store, None).await;
    let mut expected = Vec::new();
    for number in 0..5 {
        node.write(Way::AtOnce, &[(ISSUED, "globex/order-sync", "{}"), (REFUSED, "globex/order-sync", "{}")], &[]).await;
        let (prior, before) = (node.head.size, node.head.last_change);
        node.change(&format!("{{\"number\":{number}}}"), Beside::default()).await;
        expected.push((prior, before, node.head.root));
    }
    let mut snapshot = node.reader.snapshot().await.expect("reads");
    let first = snapshot.changes(0, 2).await.expect("reads");
    let last = first.last().expect("two").0.index;
    let rest = snapshot.changes(last + 1, 100).await.expect("reads");
    assert_eq!((first.len(), rest.len()), (2, 3));
    for ((entry, batch), (index, prior_change, root)) in first.iter().chain(&rest).zip(expected) {
        let batch = batch.as_ref().expect("its batch");
        assert_eq!((entry.index, entry.leaf), (index, Some(leaf_hash(&entry.body))));
        assert_eq!((batch.first, batch.size_after, batch.prior_change, batch.root), (index, index + 1, prior_change, root));
    }
    assert_eq!(snapshot.changes_of_kind(CHANGE).await.expect("reads").len(), 5);
}

pub async fn entries_that_are_asked_for_together_go_each_to_its_caller(store: &dyn Candidate) {
    let mut node = Node::on(store, None).await;
    for body in ["{\"n\":0}", "{\"n\":1}", "{\"n\":2}"] {
        node.write(Way::StepByStep, &[(ISSUED, "globex/order-sync", body)], &[]).await;
    }
    for [first, second, third] in [[0, 1, 2], [2, 9, 0], [9, 8, 1], [1, 1, 9], [9, 9, 9]] {
        let reader = &node.reader;
        let (a, b, c) = tokio::join!(reader.body(first), reader.body(second), reader.body(third));
        let told = [a, b, c].map(|told| told.expect("reads"));
        let expected = [first, second, third].map(|index| (index < 3).then(|| format!("{{\"n\":{index}}}")));
        assert_eq!(told, expected, "{first} {second} {third}");
    }
}
