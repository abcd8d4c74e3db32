//! Escapes control characters and Unicode line ends as `\uXXXX` (ABUSE L-05).
//!
//! So one record stays one line.

use std::io::{self, Write};

use crate::domain::value::text::misleads;

/// A writer that gets one whole record per write, as tracing's formatter does, and escapes it.
pub(super) struct Escaping<W>(pub(super) W);

impl<W: Write> Write for Escaping<W> {
    fn write(&mut self, record: &[u8]) -> io::Result<usize> {
        self.0.write_all(escape(&String::from_utf8_lossy(record)).as_bytes())?;
        Ok(record.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// The record with its final line end and no other.
///
/// The escape is JSON's, so that a JSON record stays valid.
fn escape(record: &str) -> String {
    let (line, end) = record.strip_suffix('\n').map_or((record, ""), |line| (line, "\n"));
    let mut escaped = String::with_capacity(record.len());
    for character in line.chars() {
        if misleads(character) {
            // JSON escapes UTF-16 units (RFC 8259 section 7).
            for unit in character.encode_utf16(&mut [0; 2]) {
                escaped.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            escaped.push(character);
        }
    }
    escaped.push_str(end);
    escaped
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::EnvFilter;

    use super::super::{Format, subscriber};
    use super::*;

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("no panic holds it").extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(format: Format, hostile: &str) -> String {
        let kept = Kept::default();
        let out = kept.clone();
        let subscriber = subscriber(format, EnvFilter::new("info"), move || out.clone());
        tracing::subscriber::with_default(subscriber, || tracing::info!(field = hostile, "message {hostile}"));
        String::from_utf8(kept.0.lock().expect("no panic holds it").clone()).expect("text")
    }

    #[test]
    fn l_05_no_field_can_end_a_record() {
        let hostile = "a\r\nINFO forged\u{1b}[2J\u{2028}\u{85}\u{202e}\u{200b}\u{e0041}\"}\0b";
        for format in [Format::Json, Format::Text] {
            let text = logged(format, hostile);
            assert_eq!(text.matches('\n').count(), 1, "{text:?}");
            let line = text.trim_end_matches('\n');
            assert!(!line.chars().any(|c| c.is_control() || misleads(c)), "{text:?}");
        }
        let record: serde_json::Value = serde_json::from_str(&logged(Format::Json, hostile)).expect("still JSON");
        assert_eq!(record["field"], hostile);
    }
}
