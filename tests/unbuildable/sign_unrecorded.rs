//! A grant that the journal has not recorded cannot be signed.
use carnet::domain::decision::grant::Grant;
use carnet::issuance::Issuance;

fn sign(issuance: &Issuance, grant: Box<Grant>) {
    let _ = issuance.issue(&grant);
}

fn main() {}
