//! Only a binding that admitted a verified assertion makes a principal.
use carnet::domain::decision::admission::Principal;
use carnet::domain::value::names::ClientId;

fn become_somebody_else(principal: Principal, client: ClientId) -> Principal {
    Principal { client, ..principal }
}

fn main() {}
