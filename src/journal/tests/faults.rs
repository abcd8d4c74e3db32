//! The failure table (STYLE.md 19): each write failed and not persisted, failed but persisted, killed; then restart and verify.
