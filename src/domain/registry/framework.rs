//! Frameworks of controls that security teams answer to.
//!
//! What their controls ask for, and whether they hold, is in `decision::controls`.

use serde::{Deserialize, Serialize};

/// A framework of controls.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Framework {
    /// NIST AI Risk Management Framework 1.0, over integrations of AI agents.
    AiRmf,
    /// NIST Cybersecurity Framework 2.0.
    NistCsf,
    /// OWASP Non-Human Identities Top 10, 2025.
    OwaspNhi,
    /// NIST SP 800-207, Zero Trust Architecture, section 2.1.
    #[serde(rename = "sp800-207")]
    Sp800207,
}

impl Framework {
    /// All of them, in the order in which they are told.
    pub const ALL: [Self; 4] = [Self::OwaspNhi, Self::NistCsf, Self::Sp800207, Self::AiRmf];

    /// Its word on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::AiRmf => "ai-rmf",
            Self::NistCsf => "nist-csf",
            Self::OwaspNhi => "owasp-nhi",
            Self::Sp800207 => "sp800-207",
        }
    }

    /// Its title, with the version.
    pub const fn title(self) -> &'static str {
        match self {
            Self::AiRmf => "NIST AI Risk Management Framework 1.0",
            Self::NistCsf => "NIST Cybersecurity Framework 2.0",
            Self::OwaspNhi => "OWASP Non-Human Identities Top 10, 2025",
            Self::Sp800207 => "NIST SP 800-207 Zero Trust Architecture, section 2.1",
        }
    }

    /// The framework of this word.
    pub fn find(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.name() == name)
    }

    /// Whether its controls are judged over integrations of AI agents alone.
    pub const fn is_of_agents(self) -> bool {
        match self {
            Self::AiRmf => true,
            Self::NistCsf | Self::OwaspNhi | Self::Sp800207 => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_framework_is_spelled_alike_everywhere() {
        for framework in Framework::ALL {
            assert_eq!(Framework::find(framework.name()), Some(framework));
            assert_eq!(serde_json::to_value(framework).expect("JSON"), framework.name());
        }
        assert_eq!(Framework::find("iso-27001"), None);
    }
}
