//! The tokens by which the source of people is known. They open the directory's listener, and nothing else.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use subtle::ConstantTimeEq as _;

use super::fault::Fault;
use crate::domain::value::digest::Digest;
use crate::http::authorization::Authorization;

/// The least characters of a token: 32 of base64url are 192 bits.
const LEAST: usize = 32;

/// The most characters of a token.
const MOST: usize = 1024;

/// A token, as its digest alone.
#[derive(Clone)]
pub struct Token(Digest);

/// The tokens that count now: one, or two while one takes the other's place.
#[derive(Clone)]
pub struct Tokens(Arc<[Token]>);

impl Token {
    /// Reads a token from the text of its file: 32 to 1024 characters of RFC 6750 section 2.1, and nothing beside them.
    pub fn parse(text: &str) -> Option<Self> {
        let token = text.trim();
        let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
        let is_sound = (LEAST..=MOST).contains(&token.len()) && token.bytes().all(is_token);
        is_sound.then(|| Self(Digest::of(token.as_bytes())))
    }

    /// Whether two tokens are the same one, in constant time.
    pub fn is(&self, other: &Self) -> bool {
        self.0.0.ct_eq(&other.0.0).into()
    }
}

impl Tokens {
    /// These tokens.
    pub fn of(tokens: Vec<Token>) -> Self {
        Self(tokens.into())
    }

    /// Whether a text is one of them. Every token is compared, whichever it is.
    fn admit(&self, text: &str) -> bool {
        let shown = Token(Digest::of(text.as_bytes()));
        self.0.iter().fold(false, |is_known, token| is_known | token.is(&shown))
    }
}

/// Lets through who shows one of the tokens. The body of anybody else stays unread (ABUSE A-01).
pub async fn pass(State(tokens): State<Tokens>, request: Request, next: Next) -> Response {
    match Authorization::bearer(request.headers()) {
        Some(text) if tokens.admit(&text) => next.run(request).await,
        Some(_) | None => Fault::Token.into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_long_and_plain() {
        let good = "abcdefghijklmnopqrstuvwxyz-._~+/=0123";
        assert!(Token::parse(&format!(" {good}\n")).is_some());
        for bad in ["", &good[..31], "Bearer abcdefghijklmnopqrstuvwxyz012345", &"x".repeat(1025), &format!("{good}\n{good}")] {
            assert!(Token::parse(bad).is_none(), "{bad:?}");
        }
        let tokens = Tokens::of(vec![Token::parse(good).expect("a token"), Token::parse(&"y".repeat(32)).expect("a token")]);
        assert!(tokens.admit(good) && tokens.admit(&"y".repeat(32)));
        assert!(!tokens.admit(&good[..36]) && !tokens.admit("") && !tokens.admit(&"Y".repeat(32)));
    }
}
