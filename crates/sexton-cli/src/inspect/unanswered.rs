//! That a question has no answer, because what it would need is damaged.

use std::io;

use serde::Serialize;
use sexton::{ActorId, Error};

use super::Answer;
use super::table::Page;

/// Why a question about a damaged store has no answer.
#[derive(Debug, Serialize)]
pub(super) struct Unanswered {
    unanswered: String,
}

impl Unanswered {
    /// What was asked about is not there; it may be among what is damaged.
    pub(super) fn missing(id: &ActorId, store: &str) -> Self {
        Self { unanswered: format!("{id} is not among what can be read of {store}") }
    }

    /// Something stood in the way.
    pub(super) fn because(error: &Error) -> Self {
        Self { unanswered: sexton::chain(error) }
    }

    /// There is nothing to look at.
    pub(super) fn nothing(store: &str) -> Self {
        Self { unanswered: format!("nothing of {store} can be read") }
    }
}

impl Answer for Unanswered {
    fn show(&self, page: &mut Page<'_>) -> io::Result<()> {
        page.line(&self.unanswered)
    }

    fn is_clean(&self) -> bool {
        false
    }
}
