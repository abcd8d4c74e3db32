//! The journal by itself: one order, one time, one chain of changes, one root that is signed.

use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{Case, sha256};

/// Each entry is at the place that it names.
pub fn order(case: &Case) -> Vec<String> {
    let misplaced = |(place, entry): (usize, &serde_json::Value)| {
        (entry["index"].as_u64() != u64::try_from(place).ok()).then(|| format!("line {place} has index {}", entry["index"]))
    };
    case.entries.iter().enumerate().filter_map(misplaced).collect()
}

/// The time of an entry is at least that of the entry before.
pub fn time(case: &Case) -> Vec<String> {
    let falls = |pair: &[serde_json::Value]| {
        let (before, after) = (pair[0]["time"].as_i64(), pair[1]["time"].as_i64());
        (before.is_none() || after.is_none() || after < before)
            .then(|| format!("entry {} has time {} after {}", pair[1]["index"], pair[1]["time"], pair[0]["time"]))
    };
    case.entries.windows(2).filter_map(falls).collect()
}

/// Each change names the change before it.
pub fn chain(case: &Case) -> Vec<String> {
    let mut prior = None;
    let mut broken = Vec::new();
    for entry in &case.entries {
        if ["issued", "refused", "refusals"].contains(&super::text(&entry["kind"])) {
            continue;
        }
        if entry["prior"].as_u64() != prior {
            broken.push(format!("change {} names {} as the change before, which is {prior:?}", entry["index"], entry["prior"]));
        }
        prior = entry["index"].as_u64();
    }
    broken
}

/// The Merkle root over the entries (RFC 6962 section 2.1) is the one in the checkpoint.
pub fn root(case: &Case) -> Vec<String> {
    let lines: Vec<&str> = case.note.lines().collect();
    let leaves: Vec<[u8; 32]> = case.lines.iter().map(|line| sha256(&[&[0], line.as_bytes()])).collect();
    let made = STANDARD.encode(root_of(&leaves));
    if lines.get(1) != Some(&case.lines.len().to_string().as_str()) {
        return vec![format!("the checkpoint counts {:?} entries of {}", lines.get(1), case.lines.len())];
    }
    if lines.get(2) != Some(&made.as_str()) {
        return vec![format!("the checkpoint has root {:?}, and the entries make {made}", lines.get(2))];
    }
    Vec::new()
}

fn root_of(leaves: &[[u8; 32]]) -> [u8; 32] {
    match leaves {
        [] => sha256(&[]),
        [leaf] => *leaf,
        _ => {
            let left = leaves.len().next_power_of_two() / 2;
            sha256(&[&[1], &root_of(&leaves[..left]), &root_of(&leaves[left..])])
        }
    }
}

/// The checkpoint is signed with the log's key (C2SP signed-note).
pub fn signature(case: &Case) -> Vec<String> {
    if is_signed(&case.note, &case.key).is_none() {
        return vec![format!("the checkpoint is not signed by {}", case.key)];
    }
    Vec::new()
}

fn is_signed(note: &str, key: &str) -> Option<()> {
    let mut parts = key.splitn(3, '+');
    let (name, id, key) = (parts.next()?, parts.next()?, STANDARD.decode(parts.next()?).ok()?);
    let (body, signatures) = note.split_once("\n\n")?;
    let signed = format!("{body}\n");
    let made = sha256(&[name.as_bytes(), b"\n", &key]);
    (super::hex(&made[..4]) == id && key.first() == Some(&1)).then_some(())?;
    let own = format!("— {name} ");
    signatures.lines().filter_map(|line| STANDARD.decode(line.strip_prefix(&own)?).ok()).find_map(|bytes| {
        let (by, signature) = bytes.split_at_checked(4)?;
        let verifies = UnparsedPublicKey::new(&ED25519, &key[1..]).verify(signed.as_bytes(), signature).is_ok();
        (by == &made[..4] && verifies).then_some(())
    })
}
