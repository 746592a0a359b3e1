//! Who may come in: the token is looked at before anything else of a request is.

use std::sync::Arc;

use actix_web::HttpRequest;
use actix_web::http::header::AUTHORIZATION;

use crate::token::{Claims, Keyring, TokenError};
use crate::wire::{Code, Problem};

/// Whose requests are taken.
#[derive(Clone, Debug)]
pub(crate) struct Gate {
    pub(crate) keys: Arc<Keyring>,
    pub(crate) node: String,
    pub(crate) epoch: u32,
}

/// The token of a request, if it has one.
///
/// # Errors
///
/// [`TokenError::Missing`] if there is none, or more than one.
pub fn bearer(request: &HttpRequest) -> Result<&str, TokenError> {
    let mut values = request.headers().get_all(AUTHORIZATION);
    let (Some(value), None) = (values.next(), values.next()) else {
        return Err(TokenError::Missing);
    };
    let text = value.to_str().ok().and_then(|text| text.split_once(' '));
    text.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, token)| token.trim())
        .ok_or(TokenError::Missing)
}

/// What a caller is told whose token is refused.
pub fn refused(error: TokenError) -> Problem {
    let code = match error {
        TokenError::Missing | TokenError::Invalid | TokenError::Time => Code::Unauthorized,
        TokenError::Elsewhere => Code::Forbidden,
    };
    Problem::new(code, error.to_string())
}

impl Gate {
    /// Lets in whoever has a token for this life of this node, and for exactly this workspace and
    /// an effect, or for neither.
    pub(crate) fn check(
        &self,
        request: &HttpRequest,
        workspace: Option<&str>,
    ) -> Result<Claims, Problem> {
        let claims = bearer(request).and_then(|token| self.keys.for_agent(token));
        let claims = claims.and_then(|claims| {
            let is_here = claims.node == self.node && claims.epoch == self.epoch;
            let is_it = claims.workspace.as_deref() == workspace;
            let is_one = claims.effect.is_some() == workspace.is_some();
            if is_here && is_it && is_one { Ok(claims) } else { Err(TokenError::Elsewhere) }
        });
        claims.map_err(refused)
    }
}
