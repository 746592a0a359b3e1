//! What went wrong with a request, and the class that the fleet knows it by.
//!
//! The class is told by the API's code; by the status alone only where that suffices. A text is
//! never looked at. What cannot be read was perhaps done: it is as if nobody had answered.

use std::time::Duration;

use sexton_fleet::Fault;
use thiserror::Error;

use super::token::Token;
use super::wire::Problem;
use crate::provider::ProviderError;

/// The most of somebody else's text that is repeated, in characters. Chosen: a few lines.
const TEXT_CHARS_MAX: usize = 300;

/// Why a request did not do what it should.
#[derive(Debug, Error)]
pub(super) enum Failed {
    /// Nobody answered, or not in full.
    #[error("the API was not reached")]
    Unreached(#[source] reqwest::Error),
    /// What was answered is not what the API answers.
    #[error("the API's answer cannot be read: status {status}, {place}")]
    Unreadable {
        /// The status.
        status: u16,
        /// Where it ceases to be an answer. Not what stands there.
        place: String,
    },
    /// It refused, and says why.
    #[error("the API refused: {0}")]
    Refused(Refusal),
    /// An action began, and failed.
    #[error("the action failed: {0}")]
    Action(Refusal),
    /// Nothing was sent: the API wants no requests for a while.
    #[error("the API takes no request for another {} s", .0.as_secs())]
    Held(Duration),
    /// It is under way, and there was no time to wait for its end.
    #[error("{0} is under way still")]
    Unfinished(&'static str),
}

/// An error, as the API names it.
#[derive(Debug, Error)]
#[error("{code} ({status}): {message}")]
pub(super) struct Refusal {
    /// The status; 200 for an action.
    pub(super) status: u16,
    /// The API's code. Empty where only the status is known.
    pub(super) code: String,
    /// The API's text, without the token.
    message: String,
    /// Whether the location is what is wrong.
    is_about_location: bool,
}

impl Refusal {
    pub(super) fn new(status: u16, problem: &Problem, token: &Token) -> Self {
        let fields = problem.details.iter().flat_map(|details| &details.fields);
        let is_about_location = fields.into_iter().any(|field| field.name == "location");
        let text = |text: &str| {
            let plain = text.chars().map(|c| if c.is_control() { ' ' } else { c });
            token.strike(&plain.collect::<String>()).chars().take(TEXT_CHARS_MAX).collect()
        };
        let (code, message) = (text(&problem.code), text(&problem.message));
        Self { status, code, message, is_about_location }
    }

    /// Too many requests, in a form that cannot be read.
    pub(super) fn of_too_many() -> Self {
        let (code, message) = ("rate_limit_exceeded".to_owned(), "no reason is given".to_owned());
        Self { status: 429, code, message, is_about_location: false }
    }

    fn fault(&self) -> Fault {
        match self.code.as_str() {
            "resource_unavailable" | "placement_error" => Fault::Capacity,
            "resource_limit_exceeded" | "server_limit_exceeded" => Fault::Quota,
            "unauthorized" | "token_readonly" | "forbidden" => Fault::Auth,
            // The older name of the same.
            "rate_limit_exceeded" | "limit_reached" => Fault::RateLimit,
            "not_found" => Fault::NotFound,
            "invalid_input" if self.is_about_location => Fault::Region,
            "invalid_input"
            | "json_error"
            | "invalid_server_type"
            | "unsupported_error"
            | "uniqueness_error"
            | "protected"
            | "method_not_allowed"
            | "deprecated_api_endpoint" => Fault::Invalid,
            "server_error" | "service_error" | "unavailable" | "timeout" | "bad_gateway" => {
                Fault::Network
            }
            _ if self.status >= 500 => Fault::Network,
            // `locked`, `conflict`, `maintenance`, and codes that are not known yet.
            _ => Fault::Unknown,
        }
    }
}

impl Failed {
    /// Its class. [`Fault::Network`]: it may have taken effect.
    pub(super) fn fault(&self) -> Fault {
        match self {
            Self::Unreached(_) | Self::Unreadable { .. } | Self::Unfinished(_) => Fault::Network,
            Self::Refused(refusal) | Self::Action(refusal) => refusal.fault(),
            Self::Held(_) => Fault::RateLimit,
        }
    }

    /// Whether the API refused with this code.
    pub(super) fn is(&self, code: &str) -> bool {
        matches!(self, Self::Refused(refusal) if refusal.code == code)
    }

    /// Whether nothing took effect and the same request may do so soon.
    pub(super) fn is_turned_away(&self) -> bool {
        match self {
            Self::Unreached(error) => error.is_connect(),
            Self::Refused(_) => {
                self.is("locked") || self.is("conflict") || self.fault() == Fault::RateLimit
            }
            Self::Unreadable { .. } | Self::Action(_) | Self::Held(_) | Self::Unfinished(_) => {
                false
            }
        }
    }

    /// The same, of a server that was ordered: only its action says that it failed.
    pub(super) fn after_the_order(self) -> Self {
        if matches!(self, Self::Action(_)) { self } else { Self::Unfinished("the creation") }
    }

    /// The same for the fleet. "Not found" is said only where it is an answer about the thing
    /// itself: elsewhere it would be taken for "there is no such machine".
    pub(super) fn told(self, what: String) -> ProviderError {
        let fault = self.fault();
        let fault = if fault == Fault::NotFound { Fault::Unknown } else { fault };
        ProviderError::because(fault, what, self)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn refusal(status: u16, error: serde_json::Value) -> Failed {
        let problem: Problem = serde_json::from_value(error).unwrap();
        Failed::Refused(Refusal::new(status, &problem, &Token::new("s3cret").unwrap()))
    }

    // Seen to fail when codes are looked at after the status, and when the details are not.
    #[test]
    fn each_code_has_its_class_and_others_are_known_by_the_status() {
        for (status, code, expected) in [
            (412, "resource_unavailable", Fault::Capacity),
            (503, "resource_unavailable", Fault::Capacity),
            (422, "placement_error", Fault::Capacity),
            (403, "resource_limit_exceeded", Fault::Quota),
            (403, "server_limit_exceeded", Fault::Quota),
            (401, "unauthorized", Fault::Auth),
            (401, "token_readonly", Fault::Auth),
            (403, "forbidden", Fault::Auth),
            (429, "rate_limit_exceeded", Fault::RateLimit),
            (404, "not_found", Fault::NotFound),
            (422, "invalid_input", Fault::Invalid),
            (409, "uniqueness_error", Fault::Invalid),
            (423, "protected", Fault::Invalid),
            (423, "locked", Fault::Unknown),
            (409, "conflict", Fault::Unknown),
            (403, "maintenance", Fault::Unknown),
            (422, "service_error", Fault::Network),
            (500, "server_error", Fault::Network),
            (504, "timeout", Fault::Network),
            (502, "not_known_yet", Fault::Network),
            (418, "not_known_yet", Fault::Unknown),
        ] {
            let failed = refusal(status, json!({ "code": code, "message": "m" }));
            assert_eq!(failed.fault(), expected, "{code}");
        }
        let fields = json!({ "fields": [{ "name": "location", "messages": ["is bad"] }] });
        let failed = refusal(422, json!({ "code": "invalid_input", "details": fields }));
        assert_eq!(failed.fault(), Fault::Region);
        let limits = json!({ "limits": [{ "name": "server_limit" }] });
        let error = json!({ "code": "resource_limit_exceeded", "details": limits });
        assert_eq!(refusal(403, error).fault(), Fault::Quota);
    }

    // Seen to fail when the text is taken as it is.
    #[test]
    fn a_text_of_the_api_is_repeated_in_part_and_without_the_token() {
        let text = format!("bad token s3cret\n{}", "x".repeat(10_000));
        let failed = refusal(401, json!({ "code": "s3cret", "message": text }));
        let shown = format!("{failed} {failed:?}");
        assert!(!shown.contains("s3cret") && !shown.contains('\n'), "{shown}");
        assert!(shown.len() < 2_000, "{}", shown.len());
    }

    // Seen to fail when the class is handed on as it is: a deletion would count as done.
    #[test]
    fn not_found_is_no_answer_about_a_machine() {
        let failed = refusal(404, json!({ "code": "not_found", "message": "no such path" }));
        assert_eq!(failed.told("failed to list".to_owned()).fault, Fault::Unknown);
    }
}
