//! Logs: JSON or text on stderr, one record per line, level by `CARNET_LOG`.
//!
//! Enter through [`install`], once, at the start of a command. Metrics are in `http::metrics`.
//!
//! A panic's message may quote what a caller sent, so only its place is logged (ABUSE L-04). Every line is escaped on its way
//! out ([`escape`]), so that no field can end a record or drive a terminal (ABUSE L-05).

mod escape;

use std::io::{self, IsTerminal as _};

use tracing_subscriber::EnvFilter;

/// The format of records.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Format {
    /// One JSON object per line.
    Json,
    /// Text for people.
    Text,
}

impl Format {
    /// Text if stderr is a terminal, otherwise JSON.
    pub fn of_stderr() -> Self {
        if io::stderr().is_terminal() { Self::Text } else { Self::Json }
    }
}

/// The reason why logs cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryFault {
    /// `CARNET_LOG` is not a filter such as `info` or `carnet=debug,warn`.
    #[error("CARNET_LOG is not a level or filter such as info or carnet::access=warn,info")]
    Filter,
    /// A subscriber was set before.
    #[error("logs are already set up")]
    Twice,
}

/// Sends records to stderr from now on, and makes panics log only their place.
///
/// `default` is the filter if `CARNET_LOG` is not set, such as `info`.
///
/// # Errors
/// A filter that does not parse, or a second call.
pub fn install(format: Format, default: &str) -> Result<(), TelemetryFault> {
    let text = std::env::var("CARNET_LOG").unwrap_or_else(|_| default.to_owned());
    let filter = EnvFilter::try_new(text).map_err(|_| TelemetryFault::Filter)?;
    tracing::subscriber::set_global_default(subscriber(format, filter, io::stderr)).map_err(|_| TelemetryFault::Twice)?;
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(place, "panicked");
    }));
    Ok(())
}

fn subscriber<F, W>(format: Format, filter: EnvFilter, out: F) -> Box<dyn tracing::Subscriber + Send + Sync>
where
    F: Fn() -> W + Send + Sync + 'static,
    W: io::Write,
{
    let builder =
        tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false).with_writer(move || escape::Escaping(out()));
    match format {
        Format::Json => Box::new(builder.json().flatten_event(true).with_current_span(false).with_span_list(false).finish()),
        Format::Text => Box::new(builder.finish()),
    }
}
