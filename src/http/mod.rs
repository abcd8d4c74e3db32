//! HTTP (floor 4). Only this module knows axum, status codes and OAuth error names.
//!
//! Enter through [`front::wrap`], which every router has in common.

pub mod admin;
pub mod authorization;
pub mod cached;
pub mod console;
pub mod demo;
pub mod directory;
pub mod error;
pub mod form;
pub mod front;
pub mod health;
pub mod media;
pub mod metrics;
pub mod public;
