//! Floor 4: HTTP. The only floor that knows axum, statuses and OAuth error names.
//!
//! Enter through [`front::wrap`] for what every route has in common.

pub mod admin;
pub mod authorization;
pub mod cached;
pub mod console;
pub mod demo;
pub mod error;
pub mod form;
pub mod front;
pub mod health;
pub mod media;
pub mod metrics;
pub mod public;
