//! Sockets: accept loops over hyper and rustls, with a limit on everything a peer can hold open.
//!
//! Enter through [`Listener::bind`] and [`Listener::serve`]. [`Settings`] has the limits, [`tls::load`] loads the certificate
//! of `public_tls`. From the kernel upwards a connection passes `write_timeout` (slow readers, lingering close), TLS,
//! `framing` (refuses ambiguous messages), hyper, and then the service. `activity` is the watchdog over all of it.
//!
//! The real [`SystemClock`] and [`OsEntropy`] are made here too, and passed on.
//!
//! Routes, bodies and their limits, and request ids are in `http::front`; signals are in the commands.

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
