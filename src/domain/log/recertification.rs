//! Changes of reviews: what people decided, and campaigns.

use super::kinds::kinds;
use crate::domain::registry::approval::Approval;
use crate::domain::registry::integration::Integration;
use crate::domain::registry::recertification::{CampaignTerms, ItemDecision, ReviewId, Word};
use crate::domain::value::clock::Timestamp;
use crate::domain::value::digest::Digest;
use crate::domain::value::names::{CampaignId, IntegrationId};
use crate::domain::value::text::Text;

kinds! {
    /// Changes of reviews.
    pub enum RecertificationChange {
        /// A person decided. What narrows is in force with this entry.
        #[kind = "review.decided"]
        Decided {
            /// The review.
            review: ReviewId,
            /// Whether it is the owner's word, or that of security.
            word: Word,
            /// The version of the review that the person decided on.
            version: Digest,
            /// The digest of the card as it was shown to them last, or as it was then if they never asked for it.
            seen: Digest,
            /// When they were first shown it, if this node knows that.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            viewed: Option<Timestamp>,
            /// The decisions.
            items: Vec<ItemDecision>,
            /// Why.
            reason: Text,
            /// The narrower version, if something narrows.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            record: Option<Box<Integration>>,
            /// Whether nobody else has to decide.
            completes: bool,
        },
        /// Everybody decided. The next review counts from here.
        #[kind = "review.completed"]
        Completed {
            /// The review.
            review: ReviewId,
            /// The version of the record that is in force after it.
            version: Digest,
        },
        /// Security asks for reviews whose silence suspends.
        #[kind = "review.campaign-asked"]
        CampaignAsked {
            /// The campaign.
            campaign: CampaignId,
            /// What it asks for.
            terms: CampaignTerms,
            /// Why.
            reason: Text,
            /// The approval that this opens.
            approval: Box<Approval>,
        },
        /// The reviews of a campaign open.
        #[kind = "review.campaign-started"]
        CampaignStarted {
            /// The campaign.
            campaign: CampaignId,
            /// What it asks for.
            terms: CampaignTerms,
            /// Why; absent where it was said when somebody asked for an approval.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            reason: Option<Text>,
        },
    }
}

impl RecertificationChange {
    /// The integration that the change is about; none of a campaign.
    pub fn integration(&self) -> Option<&IntegrationId> {
        match self {
            Self::Decided { review, .. } | Self::Completed { review, .. } => Some(&review.integration),
            Self::CampaignAsked { .. } | Self::CampaignStarted { .. } => None,
        }
    }

    /// What a campaign asks for; none of a single review.
    pub fn campaign(&self) -> Option<&CampaignTerms> {
        match self {
            Self::CampaignAsked { terms, .. } | Self::CampaignStarted { terms, .. } => Some(terms),
            Self::Decided { .. } | Self::Completed { .. } => None,
        }
    }

    /// The subject of the change: the integration, or the campaign.
    pub fn subject(&self) -> String {
        match self {
            Self::Decided { review, .. } | Self::Completed { review, .. } => review.integration.to_string(),
            Self::CampaignAsked { campaign, .. } | Self::CampaignStarted { campaign, .. } => campaign.to_string(),
        }
    }

    /// The reason.
    pub fn reason(&self) -> Option<&Text> {
        match self {
            Self::Decided { reason, .. } | Self::CampaignAsked { reason, .. } => Some(reason),
            Self::CampaignStarted { reason, .. } => reason.as_ref(),
            Self::Completed { .. } => None,
        }
    }

    /// The texts to seal.
    ///
    /// Those of the record are sealed already: a review changes none of them.
    pub fn texts_mut(&mut self) -> Vec<&mut Text> {
        match self {
            Self::Decided { reason, items, .. } => {
                items.iter_mut().filter_map(|item| item.reason.as_mut()).chain([reason]).collect()
            }
            Self::CampaignAsked { reason, approval, .. } => approval.texts_mut().chain([reason]).collect(),
            Self::CampaignStarted { reason, .. } => reason.iter_mut().collect(),
            Self::Completed { .. } => Vec::new(),
        }
    }
}
