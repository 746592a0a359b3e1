//! Who calls: tokens of owners and of operators, signed by the platform's key.
//!
//! ```text
//! { "iss": "sexton", "aud": "owners", "sub": "alice", "role": "owner", "iat": .., "exp": .. }
//! ```
//!
//! They have an audience of their own: none of them opens an agent's door, and no agent's token
//! opens this one.

use actix_web::HttpRequest;
use serde::{Deserialize, Serialize};
use sexton_agent::authorize::{bearer, refused};
use sexton_agent::clock::now_s;
use sexton_agent::token::TokenError;
use sexton_agent::wire::Problem;
use sexton_fleet::Caller;
use sexton_providers::{Platform, PlatformError};

/// The audience of these tokens.
const OWNERS: &str = "owners";
/// How long they live, in seconds. Chosen: a working day; a new one is made in a moment.
const LIFE_S: u64 = 12 * 60 * 60;

/// What somebody may do here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Role {
    /// Everything with what is his.
    Owner,
    /// Make owners, and tokens for them.
    Operator,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    sub: String,
    role: Role,
    iat: u64,
    exp: u64,
}

fn sign(platform: &Platform, sub: &str, role: Role) -> Result<String, PlatformError> {
    let (iss, aud, iat) = (platform.issuer().to_owned(), OWNERS.to_owned(), now_s());
    platform.sign(&Claims { iss, aud, sub: sub.to_owned(), role, iat, exp: iat + LIFE_S })
}

/// An owner's token.
pub(crate) fn owner(platform: &Platform, name: &str) -> Result<String, PlatformError> {
    sign(platform, name, Role::Owner)
}

/// An operator's token.
pub(crate) fn operator(platform: &Platform) -> Result<String, PlatformError> {
    sign(platform, "operator", Role::Operator)
}

/// Whose call this is: looked at before anything else of a request is.
fn claims(platform: &Platform, request: &HttpRequest, role: Role) -> Result<Claims, Problem> {
    let read = |token| platform.keyring().read::<Claims>(token, OWNERS, LIFE_S);
    let claims = bearer(request).and_then(read).map_err(refused)?;
    if claims.role == role { Ok(claims) } else { Err(refused(TokenError::Elsewhere)) }
}

/// The owner who calls.
pub(crate) fn check_owner(platform: &Platform, request: &HttpRequest) -> Result<Caller, Problem> {
    Ok(Caller::owner(claims(platform, request, Role::Owner)?.sub))
}

/// That an operator calls.
pub(crate) fn check_operator(platform: &Platform, request: &HttpRequest) -> Result<(), Problem> {
    claims(platform, request, Role::Operator).map(drop)
}
