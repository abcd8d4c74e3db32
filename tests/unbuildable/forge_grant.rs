//! Only a decision makes a grant.
use carnet::domain::decision::grant::Grant;

fn widen(grant: &Grant) -> Grant {
    Grant { ceiling: "none", ..grant.clone() }
}

fn main() {}
