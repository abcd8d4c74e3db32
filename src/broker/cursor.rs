//! What has a cursor: receivers of webhooks, and mail.

/// Something that has a cursor.
pub trait Told: Send + Sync {
    /// Its name among all cursors.
    fn cursor_name(&self) -> String;
    /// The cursor, as it is kept.
    fn cursor(&self) -> Vec<u8>;
    /// Goes on from the cursor of another node. False if it cannot be read.
    fn go_on_from(&self, body: &[u8]) -> bool;
}
