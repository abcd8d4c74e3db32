//! Only the permission check makes an authorization.
use carnet::domain::people::actor::{Authorized, Contain, Staff};

fn promote(staff: Staff) -> Authorized<Contain> {
    Authorized::<Contain>::assertion(staff).unwrap()
}

fn main() {}
