//! The result of one check of what a server needs.

/// The effect of a finding on a server.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Weight {
    /// Nothing is wrong.
    Sound,
    /// It works, but should not stay so.
    Warning,
    /// The server starts, but something does not work until it is corrected.
    Wrong,
    /// The server does not start.
    Fault,
}

/// The result of one check.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Finding {
    /// The subject of the check.
    pub name: &'static str,
    /// The field of the configuration that it is about; empty if there is none.
    pub field: String,
    /// The effect.
    pub weight: Weight,
    /// A sentence about what was found.
    pub detail: String,
    /// The fix, if there is something to do.
    pub fix: Option<String>,
}

impl Finding {
    /// A finding of nothing wrong.
    pub fn sound(name: &'static str, detail: impl Into<String>) -> Self {
        Self { name, field: String::new(), weight: Weight::Sound, detail: detail.into(), fix: None }
    }

    /// A finding of any other weight.
    pub fn other(weight: Weight, name: &'static str, detail: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { name, field: String::new(), weight, detail: detail.into(), fix: Some(fix.into()) }
    }

    pub(super) fn at(self, field: impl Into<String>) -> Self {
        Self { field: field.into(), ..self }
    }

    pub(super) fn log(&self) {
        let (name, detail, fix) = (self.name, &self.detail, self.fix.as_deref().unwrap_or_default());
        match self.weight {
            Weight::Sound => {}
            Weight::Warning => tracing::warn!(check = name, detail, fix, "this should not stay as it is"),
            Weight::Wrong | Weight::Fault => tracing::error!(check = name, detail, fix, "this does not work"),
        }
    }
}
