//! Changes of the catalogue.

use super::kinds::kinds;
use crate::domain::registry::api::Api;
use crate::domain::registry::approval::Approval;
use crate::domain::value::digest::Digest;
use crate::domain::value::names::ApiName;
use crate::domain::value::text::Text;

kinds! {
    /// Changes of APIs.
    #[expect(clippy::large_enum_variant, reason = "a change is made once, and its entry is boxed")]
    pub enum ApiChange {
        /// A new or changed API was submitted and waits for its approval.
        #[kind = "api.submitted"]
        Submitted {
            /// The record.
            record: Box<Api>,
            /// The approval that it opens.
            approval: Approval,
        },
        /// A submitted API came into force.
        #[kind = "api.approved"]
        Approved {
            /// The API.
            api: ApiName,
            /// The version that was approved.
            version: Digest,
        },
        /// A narrower version of an API came into force at once.
        #[kind = "api.narrowed"]
        Narrowed {
            /// The record.
            record: Box<Api>,
            /// The reason, if the person who applied it gave one.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            reason: Option<Text>,
        },
    }
}

impl ApiChange {
    /// The API that the change is about.
    pub fn api(&self) -> &ApiName {
        match self {
            Self::Submitted { record, .. } | Self::Narrowed { record, .. } => &record.name,
            Self::Approved { api, .. } => api,
        }
    }

    /// The subject of the change.
    pub fn subject(&self) -> String {
        self.api().to_string()
    }

    /// Why the version was applied.
    pub fn reason(&self) -> Option<&Text> {
        match self {
            Self::Submitted { approval, .. } => approval.reason.as_ref(),
            Self::Narrowed { reason, .. } => reason.as_ref(),
            Self::Approved { .. } => None,
        }
    }

    /// The texts to seal.
    pub fn texts_mut(&mut self) -> Vec<&mut Text> {
        match self {
            Self::Submitted { approval, .. } => approval.texts_mut().collect(),
            Self::Narrowed { reason, .. } => reason.iter_mut().collect(),
            Self::Approved { .. } => Vec::new(),
        }
    }
}
