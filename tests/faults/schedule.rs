//! The faults, and the schedule of a round, which its seed and its number determine.

use std::time::Duration;

use super::dice::Dice;
use super::node::Peer;
use super::proxy::{Direction, Mode, Way};

/// A fault, from its beginning to its end.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fault {
    /// `kill -9` of a node, which starts again at the end.
    KillNode(usize),
    /// SIGTERM of a node, which starts again at the end.
    RestartNode(usize),
    /// SIGSTOP and SIGCONT of a node.
    StopNode(usize),
    /// A node's wall clock is set by so many seconds, and put right at the end.
    SetClock(usize, i64),
    /// `kill -9` of a Redis server, which starts empty at the end.
    KillRedis(usize),
    /// SIGSTOP and SIGCONT of a Redis server.
    StopRedis(usize),
    /// `FLUSHALL`.
    EmptyRedis(usize),
    /// `kill -9` of the primary, and a failover to its standby at the end.
    KillPrimary,
    /// A fast end of the primary (SIGINT), which starts again at the end.
    RestartPrimary,
    /// SIGSTOP and SIGCONT of the primary with all its processes.
    StopPrimary,
    /// `kill -9` of the standby, which starts again at the end: no commit is confirmed meanwhile.
    KillStandby,
    /// A fault of the network between a node and a peer.
    Network(usize, Peer, Mode),
}

impl Fault {
    /// Its row in the table of a run.
    pub fn kind(self) -> String {
        match self {
            Self::KillNode(_) => "node killed".to_owned(),
            Self::RestartNode(_) => "node restarted".to_owned(),
            Self::StopNode(_) => "node stopped".to_owned(),
            Self::SetClock(..) => "clock of a node set".to_owned(),
            Self::KillRedis(_) => "redis killed".to_owned(),
            Self::StopRedis(_) => "redis stopped".to_owned(),
            Self::EmptyRedis(_) => "redis emptied".to_owned(),
            Self::KillPrimary => "postgres primary killed, standby promoted".to_owned(),
            Self::RestartPrimary => "postgres primary restarted".to_owned(),
            Self::StopPrimary => "postgres primary stopped".to_owned(),
            Self::KillStandby => "postgres standby killed".to_owned(),
            Self::Network(_, peer, mode) => {
                let mode = match mode {
                    Mode::Pass => "passes",
                    Mode::Delay(_) => "delayed",
                    Mode::Hold(Way::Both) => "held",
                    Mode::Hold(Way::Only(Direction::ToPeer)) => "requests held",
                    Mode::Hold(Way::Only(Direction::ToNode)) => "answers held",
                    Mode::Cut => "cut",
                    Mode::Reset => "reset",
                    Mode::CutAfter(Direction::ToPeer, _) => "request torn",
                    Mode::CutAfter(Direction::ToNode, _) => "answer lost",
                };
                format!("{} {mode}", peer.name())
            }
        }
    }

    /// The node whose requests may go unanswered meanwhile.
    pub fn silences(self) -> Option<usize> {
        match self {
            Self::KillNode(node) | Self::RestartNode(node) | Self::StopNode(node) => Some(node),
            Self::SetClock(..) | Self::KillRedis(_) | Self::StopRedis(_) | Self::EmptyRedis(_) => None,
            Self::KillPrimary | Self::RestartPrimary | Self::StopPrimary | Self::KillStandby | Self::Network(..) => None,
        }
    }
}

/// When a fault begins and ends, in milliseconds of its round.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Planned {
    /// The fault.
    pub fault: Fault,
    /// Its beginning.
    pub from: u64,
    /// Its end.
    pub to: u64,
}

/// The parts that faults can be about.
#[derive(Clone, Debug)]
pub struct Parts {
    /// How many nodes.
    pub nodes: usize,
    /// How many Redis servers.
    pub redis: usize,
    /// Whether there is PostgreSQL.
    pub postgres: bool,
    /// The peers of each node.
    pub peers: Vec<Peer>,
}

/// The faults of a round of this length, in milliseconds; at most three at once.
pub fn of_round(seed: u64, round: u32, parts: &Parts, length: u64) -> Vec<Planned> {
    let mut dice = Dice::of(seed, round);
    let count = dice.between(1, 4);
    let one = |dice: &mut Dice| {
        let from = dice.between(200, length / 2);
        let to = from + dice.between(50, length / 2);
        Planned { fault: fault(dice, parts), from, to }
    };
    let mut planned: Vec<Planned> = (0..count).map(|_| one(&mut dice)).collect();
    planned.sort_by_key(|planned| planned.from);
    planned
}

fn fault(dice: &mut Dice, parts: &Parts) -> Fault {
    let index = |dice: &mut Dice, of: usize| usize::try_from(dice.below(of as u64)).expect("a small number");
    if parts.postgres && dice.percent(25) {
        return *dice.one(&[Fault::KillPrimary, Fault::RestartPrimary, Fault::StopPrimary, Fault::KillStandby]);
    }
    let node = index(dice, parts.nodes);
    match dice.below(100) {
        0..10 => Fault::KillNode(node),
        10..16 => Fault::RestartNode(node),
        16..24 => Fault::StopNode(node),
        24..30 => Fault::SetClock(node, *dice.one(&[-86_400, -3_600, -31, -5, 5, 31, 3_600, 86_400])),
        30..38 => Fault::KillRedis(index(dice, parts.redis)),
        38..44 => Fault::StopRedis(index(dice, parts.redis)),
        44..50 => Fault::EmptyRedis(index(dice, parts.redis)),
        _ => Fault::Network(node, *dice.one(&parts.peers), mode(dice)),
    }
}

fn mode(dice: &mut Dice) -> Mode {
    let direction = *dice.one(&[Direction::ToPeer, Direction::ToNode]);
    match dice.below(6) {
        0 => Mode::Delay(Duration::from_millis(dice.between(5, 400))),
        1 => Mode::Hold(Way::Both),
        2 => Mode::Hold(Way::Only(direction)),
        3 => Mode::Cut,
        4 => Mode::Reset,
        _ => Mode::CutAfter(direction, u32::try_from(*dice.one(&[0, 0, 1, 5, 100, 1_000])).expect("a small number")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts() -> Parts {
        Parts {
            nodes: 3,
            redis: 2,
            postgres: true,
            peers: vec![Peer::Postgres(0), Peer::Postgres(1), Peer::Redis(0), Peer::Sentinel(2)],
        }
    }

    #[test]
    fn a_seed_and_a_number_make_one_schedule() {
        for round in 0..200 {
            let planned = of_round(7, round, &parts(), 2_500);
            assert_eq!(planned, of_round(7, round, &parts(), 2_500));
            assert!((1..=3).contains(&planned.len()));
            assert!(planned.iter().all(|one| one.from < one.to && one.to <= 2_500), "{planned:?}");
        }
        assert_ne!(of_round(7, 1, &parts(), 2_500), of_round(8, 1, &parts(), 2_500));
        assert_ne!(of_round(7, 1, &parts(), 2_500), of_round(7, 2, &parts(), 2_500));
    }

    #[test]
    fn every_kind_of_fault_is_planned_in_five_hundred_rounds() {
        let kinds: std::collections::BTreeSet<String> =
            (0..500).flat_map(|round| of_round(1, round, &parts(), 2_500)).map(|planned| planned.fault.kind()).collect();
        for peer in ["postgres", "redis", "sentinel"] {
            for mode in ["delayed", "held", "requests held", "answers held", "cut", "reset", "request torn", "answer lost"] {
                assert!(kinds.contains(&format!("{peer} {mode}")), "{peer} {mode}: {kinds:?}");
            }
        }
        let postgres = ["primary killed, standby promoted", "primary restarted", "primary stopped", "standby killed"];
        assert!(postgres.iter().all(|kind| kinds.contains(&format!("postgres {kind}"))), "{kinds:?}");
        for kind in ["node killed", "node restarted", "node stopped", "clock of a node set", "redis killed", "redis emptied"] {
            assert!(kinds.contains(kind), "{kind}: {kinds:?}");
        }
    }
}
