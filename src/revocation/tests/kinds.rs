//! The contract over every kind of servers, and what each kind does when a server goes.

use std::process::Command;
use std::time::Instant;

use super::servers::{GIVEN, cli, until};
use super::*;

/// Runs the tests of the contract against servers of a kind, in a process of their own, one by one.
fn holds(kind: Kind) {
    let running = Running::start(kind);
    let own = std::env::current_exe().expect("a program");
    let tests = ["revocation::tests::contract::", "revocation::tests::rebuilding::", "--test-threads=1"];
    let ran = Command::new(own).args(tests).env(GIVEN, running.told()).output().expect("runs");
    let said = String::from_utf8_lossy(&ran.stdout);
    assert!(ran.status.success(), "{kind:?}: {said}");
    let passed = said.split("test result: ok. ").nth(1).and_then(|rest| rest.split(' ').next()?.parse::<usize>().ok());
    assert!(passed.is_some_and(|passed| passed >= 18), "{kind:?}: {said}");
}

/// As the user of `carnet doctor --redis-acl`.
#[test]
fn the_contract_holds_with_the_rights_that_doctor_prints() {
    holds(Kind::User);
}

#[test]
fn the_contract_holds_over_tls() {
    holds(Kind::Tls);
}

#[test]
fn the_contract_holds_with_sentinels() {
    holds(Kind::Sentinels);
}

#[test]
fn the_contract_holds_in_a_cluster() {
    holds(Kind::Cluster);
}

/// The user of `carnet doctor --redis-acl` may do nothing else.
#[tokio::test]
async fn the_rights_that_doctor_prints_are_no_more_than_needed() {
    let running = Running::start(Kind::User);
    let port = running.ports[0].to_string();
    let way = ["-p", &port, "--user", "carnet", "--pass", "correct horse", "--no-auth-warning"];
    let others: [&[&str]; 6] = [
        &["FLUSHALL"],
        &["CONFIG", "GET", "*"],
        &["GET", "other"],
        &["KEYS", "*"],
        &["ACL", "LIST"],
        &["EVAL", "return 1", "0"],
    ];
    for refused in others {
        assert!(cli(&way, refused).starts_with("NOPERM"), "{refused:?}");
    }
    assert_eq!(running.index().keeps_all().await, Ok(()));
}

/// A server whose certificate is not believed, or that does not believe this process, is away.
#[tokio::test]
async fn a_server_that_is_not_the_one_is_told_nothing() {
    let running = Running::start(Kind::Tls);
    let with = |change: &dyn Fn(&mut Place)| {
        let mut place = running.place();
        change(&mut place);
        Index::redis(place, Arc::new(Machine))
    };
    assert_eq!(with(&|_| {}).ping().await, Ok(()));
    assert_eq!(with(&|place| place.tls = Some(running.trusting("other.pem"))).ping().await, Err(Away::Untrusted));
    let elsewhere = |place: &mut Place| place.servers = Servers::One(Address::new("127.0.0.1", running.ports[0]));
    assert_eq!(with(&elsewhere).ping().await, Err(Away::Untrusted), "the certificate is of another name");
    for password in [None, Some("wrong")] {
        let wrong = |place: &mut Place| place.password = password.map(|text| zeroize::Zeroizing::new(text.to_owned()));
        assert_eq!(with(&wrong).ping().await, Err(Away::Unauthorised), "{password:?}");
    }
    let plain = with(&|place| place.tls = None).ping().await;
    assert!(plain.is_err(), "{plain:?}");
}

/// F-06: the master dies, and the sentinels promote its replica. A token that is cut is never called active meanwhile.
#[tokio::test]
async fn f_06_after_a_failover_the_new_master_is_found() {
    let mut running = Running::start(Kind::Sentinels);
    let index = running.index();
    let at = marker(1, 4);
    index.rebuild(&snapshot(marker(1, 3), vec![token("first")])).await.expect("rebuilt");
    assert_eq!(index.apply(&update(marker(1, 3), at.clone(), vec![token("cut")])).await, Ok(Applied::Done));
    until("the replica has it", || cli(&["-p", &running.ports[1].to_string()], &["HGET", KEY, "index"]) == "4");
    running.kill(0);
    let (begun, mut refused) = (Instant::now(), 0);
    loop {
        let told = index.is_cut(&environment(), &"cut".parse().expect("an id"), &keys(), 9, now()).await;
        assert_ne!(told, Ok(Liveness::Live), "{:?}", begun.elapsed());
        refused += usize::from(told != Ok(Liveness::Cut));
        if index.renew(&environment(), &at).await == Ok(Applied::AlreadyThere) {
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "{told:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    println!("renewed again {:?} after the master died, {refused} times refused", begun.elapsed());
    assert!(refused > 0, "the master was gone");
    assert_eq!((liveness(&index, "cut", 9).await, liveness(&index, "first", 9).await), (Liveness::Cut, Liveness::Cut));
    assert_eq!(liveness(&index, "other", 9).await, Liveness::Live);
}

/// F-06: a replica that missed the last writes is promoted. Its marker is older, so it is found and rebuilt.
#[tokio::test]
async fn f_06_a_promoted_replica_that_missed_writes_is_found() {
    let mut running = Running::start(Kind::Sentinels);
    let index = running.index();
    index.rebuild(&snapshot(marker(1, 3), vec![token("first")])).await.expect("rebuilt");
    until("the replica has it", || cli(&["-p", &running.ports[1].to_string()], &["HGET", KEY, "index"]) == "3");
    // Nothing of what comes now waits for it in the network either.
    running.signal(1, "-STOP");
    running.command(&["CLIENT", "KILL", "TYPE", "replica"]);
    let lost = update(marker(1, 3), marker(1, 4), vec![token("cut")]);
    assert_eq!(index.apply(&lost).await, Ok(Applied::Done));
    running.kill(0);
    running.signal(1, "-CONT");
    let begun = Instant::now();
    loop {
        match index.renew(&environment(), &marker(1, 4)).await {
            Ok(Applied::Behind) => break,
            Err(_) => {}
            other => panic!("{other:?}"),
        }
        assert!(begun.elapsed() < Duration::from_secs(30));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let whole = snapshot(marker(1, 4), vec![token("first"), token("cut")]);
    assert_eq!(index.rebuild(&whole).await, Ok(Rebuilt::Done));
    assert_eq!(liveness(&index, "cut", 9).await, Liveness::Cut);
}

/// Environments that are on two nodes of the cluster.
fn spread(running: &Running) -> [(EnvironmentName, usize); 2] {
    let owner = |name: &str| {
        let key = format!("carnet:{{{name}}}:complete");
        let has = |port: &u16| !cli(&["-p", &port.to_string()], &["EXISTS", &key]).starts_with("MOVED");
        running.ports.iter().position(has).expect("a node has it")
    };
    let first = ("production".parse().expect("a name"), owner("production"));
    let mut others = (0..50).map(|number| format!("e{number}")).map(|name| (owner(&name), name));
    let (node, name) = others.find(|(node, _)| *node != first.1).expect("another node");
    [first, (name.parse().expect("a name"), node)]
}

/// One node of a cluster that stands still holds up what it has, and nothing else; a slot that moved is found again.
#[tokio::test]
async fn a_cluster_goes_on_without_a_node_and_follows_slots() {
    let running = Running::start(Kind::Cluster);
    let index = running.index();
    let [(here, node), (there, other)] = spread(&running);
    for environment in [&here, &there] {
        let whole = Snapshot { environment: environment.clone(), marker: marker(1, 3), cuts: vec![] };
        assert_eq!(index.rebuild(&whole).await, Ok(Rebuilt::Done));
    }
    // Else the others count it as failed while this machine is slow, and refuse what they have.
    for at in 0..running.ports.len() {
        assert_eq!(cli(&["-p", &running.ports[at].to_string()], &["CONFIG", "SET", "cluster-node-timeout", "60000"]), "OK");
    }
    running.signal(node, "-STOP");
    for _ in 0..2 {
        let begun = Instant::now();
        assert!(index.renew(&here, &marker(1, 3)).await.is_err());
        assert!(begun.elapsed() < Duration::from_millis(1_200), "{:?}", begun.elapsed());
        assert_eq!(index.renew(&there, &marker(1, 3)).await, Ok(Applied::AlreadyThere));
    }
    running.signal(node, "-CONT");
    let begun = Instant::now();
    while index.renew(&here, &marker(1, 3)).await != Ok(Applied::AlreadyThere) {
        assert!(begun.elapsed() < Duration::from_secs(10), "it is found again");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // The slot of the first environment moves, with nothing in it.
    running.flush();
    let slot = running.command(&["CLUSTER", "KEYSLOT", &format!("carnet:{{{here}}}:complete")]);
    let port = |at: usize| running.ports[at].to_string();
    let id = |at: usize| cli(&["-p", &port(at)], &["CLUSTER", "MYID"]);
    let set = |at: usize, how: &str, id: &str| {
        assert_eq!(cli(&["-p", &port(at)], &["CLUSTER", "SETSLOT", &slot, how, id]), "OK");
    };
    // What imports a slot takes it with an epoch of its own. Without one a message of the node that had it takes it back.
    set(other, "IMPORTING", &id(node));
    for at in [other, node, 3 - node - other] {
        set(at, "NODE", &id(other));
    }
    let begun = Instant::now();
    let whole = Snapshot { environment: here.clone(), marker: marker(1, 4), cuts: vec![] };
    assert!(index.rebuild(&whole).await.is_err(), "nobody follows a redirection");
    while index.rebuild(&whole).await != Ok(Rebuilt::Done) {
        assert!(begun.elapsed() < Duration::from_secs(10), "it is found again");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(cli(&["-p", &port(other)], &["HGET", &format!("carnet:{{{here}}}:complete"), "index"]), "4");
}
