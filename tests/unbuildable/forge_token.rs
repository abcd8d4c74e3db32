//! Only issuance makes a token.
use carnet::issuance::IssuedToken;

fn forge() -> IssuedToken {
    IssuedToken { text: String::new(), entry: 1 }
}

fn main() {}
