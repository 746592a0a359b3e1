//! What went wrong with a machine, typed by whoever raised it and never guessed from text.

use serde::{Deserialize, Serialize};
use sexton_core::Failure;

/// The class of a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Fault {
    /// The provider has no machine of this size at this place now.
    Capacity,
    /// The account may not have more.
    Quota,
    /// The region does not take it.
    Region,
    /// The request is wrong.
    Invalid,
    /// The credentials are refused.
    Auth,
    /// Too many requests.
    RateLimit,
    /// Nobody answered.
    Network,
    /// What was asked for does not exist.
    NotFound,
    /// None of the others.
    Unknown,
}

impl Fault {
    /// Every class.
    pub const ALL: [Self; 9] = [
        Self::Capacity,
        Self::Quota,
        Self::Region,
        Self::Invalid,
        Self::Auth,
        Self::RateLimit,
        Self::Network,
        Self::NotFound,
        Self::Unknown,
    ];

    /// Its name: the class of a [`Failure`] that a provider raises.
    pub fn name(self) -> &'static str {
        match self {
            Self::Capacity => "capacity",
            Self::Quota => "quota",
            Self::Region => "region",
            Self::Invalid => "invalid",
            Self::Auth => "auth",
            Self::RateLimit => "rate_limit",
            Self::Network => "network",
            Self::NotFound => "not_found",
            Self::Unknown => "unknown",
        }
    }

    /// The class of a failure, by its exact name; any other name is unknown.
    pub fn of(failure: &Failure) -> Self {
        Self::ALL.into_iter().find(|it| it.name() == failure.class).unwrap_or(Self::Unknown)
    }

    /// Whether the same request may work later.
    pub fn is_transient(self) -> bool {
        match self {
            Self::Capacity | Self::RateLimit | Self::Network | Self::Unknown => true,
            Self::Quota | Self::Region | Self::Invalid | Self::Auth | Self::NotFound => false,
        }
    }
}
