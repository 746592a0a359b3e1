//! A secret that can be used and not printed.

use std::fmt;

use reqwest::header::HeaderValue;
use sexton_fleet::Fault;

use crate::provider::ProviderError;

/// A token: of the cloud's API, or one by which an agent calls back.
///
/// It has no `Display` and nothing that serializes it, and `Debug` leaves it out.
///
/// # Example
///
/// ```
/// use sexton_providers::hetzner::Token;
///
/// let token = Token::new("  s3cret\n").expect("it can stand in a header");
/// assert_eq!(format!("{token:?}"), "Token(..)");
/// assert_eq!(token.reveal(), "s3cret");
/// assert!(Token::new("two lines\r\nX-Other: 1").is_err());
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

impl Token {
    /// Wraps a token; what a file has around it is taken off.
    ///
    /// # Errors
    ///
    /// [`Fault::Auth`] if it is empty, or cannot stand in a header; it is not repeated there.
    pub fn new(text: impl AsRef<str>) -> Result<Self, ProviderError> {
        let text = text.as_ref().trim();
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            let why = "a token is one word of visible ASCII, and this one is not";
            return Err(ProviderError::new(Fault::Auth, why));
        }
        Ok(Self(text.to_owned()))
    }

    /// The token itself, for whoever sends it.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// The header that carries it, marked so that nothing prints it.
    pub(super) fn header(&self) -> HeaderValue {
        let header = HeaderValue::try_from(format!("Bearer {}", self.0));
        let mut header = header.expect("it is visible ASCII, so it can stand in a header");
        header.set_sensitive(true);
        header
    }

    /// A text of somebody else's without this token in it.
    pub(super) fn strike(&self, text: &str) -> String {
        text.replace(&self.0, "..")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Seen to fail when the header is not marked: its `Debug` shows it.
    #[test]
    fn the_header_of_a_token_is_not_printed_either() {
        let token = Token::new("s3cret").unwrap();
        assert!(!format!("{token:?} {:?}", token.header()).contains("s3cret"));
        assert_eq!(token.header(), "Bearer s3cret");
    }
}
