//! The listener of the people directory, and the tokens that open it.

use std::io;

use zeroize::Zeroizing;

use super::fault::{StartFault, at};
use crate::config::DirectorySection;
use crate::http::directory::{Token, Tokens};
use crate::http::metrics::Socket;
use crate::server::{Listener, tls};

/// Binds the address of the directory.
///
/// # Errors
/// The kernel's error, or that of the certificate, which the checks of the files have too.
pub(super) async fn bind(section: &DirectorySection) -> io::Result<Listener> {
    let tls = section.tls.as_ref().map(|files| tls::load(&files.cert, &files.key)).transpose();
    Listener::bind(Socket::Directory, section.listen, tls.map_err(io::Error::other)?).await
}

/// Reads the tokens of the source.
///
/// # Errors
/// A file without a token, or the same token in both.
pub(super) fn tokens(section: &DirectorySection) -> Result<Tokens, StartFault> {
    let fix = "make one with: openssl rand -base64 48 > FILE; chmod 600 FILE";
    let field = "directory.token_files";
    let (mut tokens, mut faults) = (Vec::<Token>::new(), Vec::new());
    for file in &section.token_files {
        let text = std::fs::read_to_string(file).map(Zeroizing::new);
        match text.ok().and_then(|text| Token::parse(&text)) {
            Some(token) if tokens.iter().any(|known| known.is(&token)) => {
                faults.push(at(field, "both files hold the same token".to_owned(), fix));
            }
            Some(token) => tokens.push(token),
            None => faults.push(at(field, format!("{} holds no token of 32 characters or more", file.display()), fix)),
        }
    }
    if faults.is_empty() { Ok(Tokens::of(tokens)) } else { Err(StartFault::Configuration(faults)) }
}
