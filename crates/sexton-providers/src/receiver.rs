//! Where agents call back: paths for a server of the control plane's own.
//!
//! A call is taken with the token of that life of that node, and its answer comes when the turn
//! that it leads to is durable. Whether it still means something is for the node or the session to
//! say: a late one is recorded there and changes nothing.

use std::sync::Arc;

use actix_web::web::{self, Data, Payload, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use sexton::{CallError, ErrorKind, Handle, Handler, Host, Message};
use sexton_agent::authorize::{bearer, refused};
use sexton_agent::server::body;
use sexton_agent::token::{Claims, Keyring, TokenError};
use sexton_agent::wire::{About, Code, Ended, Problem, Report, RunEnd};
use sexton_fleet::placement::{Load, SessionEnd};
use sexton_fleet::{Heartbeat, Node, Ready, Session, SessionResult};

struct Receiver {
    host: Arc<Host>,
    keys: Arc<Keyring>,
}

/// The paths `/callbacks/nodes/{node}/ready`, `.../heartbeat` and `.../ended`, for
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

/// Whose call it is: the token is looked at before anything else of it is.
fn claims(receiver: &Receiver, request: &HttpRequest, node: &str) -> Result<Claims, Problem> {
    let claims = bearer(request).and_then(|token| receiver.keys.for_callbacks(token));
    let claims = claims.map_err(refused)?;
    if claims.node == node { Ok(claims) } else { Err(refused(TokenError::Elsewhere)) }
}

async fn hear(
    receiver: Data<Receiver>,
    request: HttpRequest,
    path: web::Path<(String, String)>,
    payload: Payload,
) -> Result<HttpResponse, Problem> {
    let (node, what) = path.into_inner();
    let claims = claims(&receiver, &request, &node)?;
    match what.as_str() {
        "ready" | "heartbeat" => lives(&receiver, &claims, &what, body(payload).await?).await?,
        "ended" => ended(&receiver, &claims, body(payload).await?).await?,
        other => return Err(Problem::new(Code::NotFound, format!("nothing is called {other}"))),
    }
    Ok(HttpResponse::NoContent().finish())
}

fn invalid(error: &sexton::Error) -> Problem {
    Problem::new(Code::Invalid, error.to_string())
}

async fn lives(
    receiver: &Receiver,
    claims: &Claims,
    what: &str,
    report: Report,
) -> Result<(), Problem> {
    let Report { epoch, version, load } = report;
    if claims.epoch != epoch {
        return Err(refused(TokenError::Elsewhere));
    }
    let handle = receiver.host.actor::<Node>(&claims.node).map_err(|error| invalid(&error))?;
    let version = Some(version);
    if what == "ready" {
        tell(&handle, Ready { epoch, version }).await
    } else {
        let load = load.map(|it| Load { cpu: it.cpu, memory: it.memory });
        tell(&handle, Heartbeat { epoch, load, version }).await
    }
}

/// What a session is told of the end of its run.
fn end_of(end: RunEnd) -> SessionEnd {
    match end {
        RunEnd::Exited(0) => SessionEnd::Finished,
        RunEnd::Exited(status) => SessionEnd::Failed { class: format!("exit {status}") },
        RunEnd::Signalled(number) => SessionEnd::Failed { class: format!("signal {number}") },
        RunEnd::Unseen => SessionEnd::Lost { why: "it ended, and no agent saw how".to_owned() },
    }
}

async fn ended(receiver: &Receiver, claims: &Claims, ended: Ended) -> Result<(), Problem> {
    if claims.epoch != ended.epoch {
        return Err(refused(TokenError::Elsewhere));
    }
    let About { name, epoch } = ended.about;
    let handle = receiver.host.actor::<Session>(&name).map_err(|error| invalid(&error))?;
    let session = handle.state().await.map_err(|error| problem(&error))?;
    // An agent speaks for what runs on its own node, and for nothing else.
    let node = session.node();
    if node.id.name() != claims.node || node.incarnation != claims.epoch {
        return Err(refused(TokenError::Elsewhere));
    }
    tell(&handle, SessionResult { epoch, end: end_of(ended.end) }).await
}

fn problem(error: &sexton::Error) -> Problem {
    let kind = error.kind();
    let code = if matches!(kind, ErrorKind::NotFound | ErrorKind::Destroyed) {
        Code::NotFound
    } else if kind == ErrorKind::Refused {
        Code::Conflict
    } else {
        Code::Unavailable
    };
    Problem::new(code, error.to_string())
}

async fn tell<A, M>(actor: &Handle<A>, message: M) -> Result<(), Problem>
where
    M: Message<Reply = ()> + Send + 'static,
    A: Handler<M>,
{
    let told = actor.call(message).await;
    told.map_err(|error: CallError<M>| problem(&error.into_error()))
}
