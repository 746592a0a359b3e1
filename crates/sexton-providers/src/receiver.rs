//! Where agents call back: paths for a server of the control plane's own.
//!
//! A call is taken with the token of that life of that node, and its answer comes when the
//! node's turn is durable. Whether it still means something is for the node to say: a late one is
//! recorded there and changes nothing.

use std::sync::Arc;

use actix_web::web::{self, Data, Payload, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use sexton::{CallError, ErrorKind, Handle, Handler, Host, Message};
use sexton_agent::authorize::{bearer, refused};
use sexton_agent::server::body;
use sexton_agent::token::{Keyring, TokenError};
use sexton_agent::wire::{Code, Problem, Report};
use sexton_fleet::{Heartbeat, Node, Ready};

struct Receiver {
    host: Arc<Host>,
    keys: Arc<Keyring>,
}

/// The paths `/callbacks/nodes/{node}/ready` and `.../heartbeat`, for
/// [`App::configure`](actix_web::App::configure).
pub fn receiver(
    host: Arc<Host>,
    keys: Arc<Keyring>,
) -> impl Fn(&mut ServiceConfig) + Clone + Send + Sync + 'static {
    let receiver = Data::new(Receiver { host, keys });
    move |app: &mut ServiceConfig| {
        app.app_data(receiver.clone());
        app.route("/callbacks/nodes/{node}/{what}", web::post().to(hear));
    }
}

async fn hear(
    receiver: Data<Receiver>,
    request: HttpRequest,
    path: web::Path<(String, String)>,
    payload: Payload,
) -> Result<HttpResponse, Problem> {
    let (node, what) = path.into_inner();
    let claims = bearer(&request).and_then(|token| receiver.keys.for_callbacks(token));
    let claims = claims.map_err(refused)?;
    if claims.node != node {
        return Err(refused(TokenError::Elsewhere));
    }
    let report: Report = body(payload).await?;
    if claims.epoch != report.epoch {
        return Err(refused(TokenError::Elsewhere));
    }
    let invalid = |error: sexton::Error| Problem::new(Code::Invalid, error.to_string());
    let handle = receiver.host.actor::<Node>(&node).map_err(invalid)?;
    let (epoch, version) = (report.epoch, Some(report.version));
    match what.as_str() {
        "ready" => tell(&handle, Ready { epoch, version }).await?,
        "heartbeat" => tell(&handle, Heartbeat { epoch, load: None, version }).await?,
        other => return Err(Problem::new(Code::NotFound, format!("nothing is called {other}"))),
    }
    Ok(HttpResponse::NoContent().finish())
}

async fn tell<M>(node: &Handle<Node>, message: M) -> Result<(), Problem>
where
    M: Message<Reply = ()> + Send + 'static,
    Node: Handler<M>,
{
    let told = node.call(message).await;
    told.map_err(|error: CallError<M>| {
        let kind = error.kind();
        let code = if matches!(kind, ErrorKind::NotFound | ErrorKind::Destroyed) {
            Code::NotFound
        } else if kind == ErrorKind::Refused {
            Code::Conflict
        } else {
            Code::Unavailable
        };
        Problem::new(code, error.into_error().to_string())
    })
}
