//! Sockets: accept loops by hand over hyper and rustls, with a limit on everything that a peer can hold open.
//!
//! Enter through [`Listener::bind`] and [`Listener::serve`]; [`Settings`] has the limits, [`tls::load`] the certificate of
//! `public_tls`. A connection passes, from the kernel upwards: `pace` (slow readers, lingering close), TLS, `framing` (one
//! reading of each message), hyper, and then the service it was given. `activity` is the watchdog over all of it.
//!
//! The real [`SystemClock`] and [`OsEntropy`] are made here too, and passed on.
//!
//! Not here: routes, bodies and their limits, request ids (`http::front`), signals (the command line).

mod activity;
mod caps;
mod connection;
mod framing;
mod listener;
pub mod mtls;
mod settings;
mod system;
pub mod tls;
mod write_timeout;

pub use listener::Listener;
pub use settings::{Settings, open_files_limit};
pub use system::{OsEntropy, SystemClock};

#[cfg(test)]
mod hostile;
