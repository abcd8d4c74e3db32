//! Only the journal can say that something is recorded.
use carnet::domain::decision::grant::Grant;
use carnet::journal::Recorded;

fn forge(grant: Box<Grant>) -> Recorded<Box<Grant>> {
    Recorded { value: grant, index: 1, time: Default::default(), claims: Vec::new() }
}

fn main() {}
