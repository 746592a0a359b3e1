//! The paths: whose call it is, what it commands, what is there afterwards.
//!
//! Every command goes to its owner's actor, with the caller in it; what is another's is not there.
//! `PUT` makes and `DELETE` ends, each as often as it is asked: what is there already, or has its
//! tombstone already, is the answer.

use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::web::{self, Data, Payload, Query, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;
use serde_json::json;
use sexton::{Actor, ActorId, Handler, Message};
use sexton_agent::clock::rest;
use sexton_agent::server::body;
use sexton_agent::wire::{Code, Problem};
use sexton_fleet::placement::Wish;
use sexton_fleet::{
    AddRig, Caller, Container, CreateTown, CreateWorkspace, EndNode, EndTask, EndTown,
    EndWorkspace, Inspect, Node, NodeClass, NodeRole, NodeSpec, Owner, RequestNode, Session,
    StartTask, TaskEnd, TaskRunner, TaskSession, TaskSpec, Tenure, Town, Workspace, WorkspaceEnd,
    WorkspaceSpec,
};
use sexton_telemetry::prometheus;

use crate::events::Wanted;
use crate::names;
use crate::plane::Plane;
use crate::tokens::{self, check_operator, check_owner};
use crate::views::{After, View, json as answer, problem};

/// How long a call waits until what it asked for is to be seen. Chosen: that takes milliseconds;
/// a workspace that has to wait for room is seen when it has some.
const SEEN: Duration = Duration::from_secs(2);
const LOOK: Duration = Duration::from_millis(10);
/// The status of what is asked for and has no row yet.
const REQUESTED: &str = "requested";

type Answer = Result<HttpResponse, Problem>;

/// What is made and ended here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Node,
    Workspace,
    Task,
    Town,
}

impl Kind {
    /// By the word in the path.
    fn of(word: &str) -> Result<Self, Problem> {
        match word {
            "nodes" => Ok(Self::Node),
            "workspaces" => Ok(Self::Workspace),
            "tasks" => Ok(Self::Task),
            "towns" => Ok(Self::Town),
            other => Err(Problem::new(Code::NotFound, format!("there is no path /{other}"))),
        }
    }

    /// The kind of its actors.
    fn actors(self) -> &'static str {
        match self {
            Self::Node => Node::KIND,
            Self::Workspace => Workspace::KIND,
            Self::Task => TaskRunner::KIND,
            Self::Town => Town::KIND,
        }
    }
}

/// A thing that is named in a path, and who names it.
struct Named {
    caller: Caller,
    kind: Kind,
    /// What its owner calls it.
    local: String,
    /// Its actor.
    id: ActorId,
}

impl Named {
    fn new(plane: &Plane, request: &HttpRequest, path: (String, String)) -> Result<Self, Problem> {
        let caller = check_owner(&plane.platform, request)?;
        let (kind, local) = (Kind::of(&path.0)?, path.1);
        let id = ActorId::new(kind.actors(), &names::full(&caller.owner, &local));
        let id = id.map_err(|error| Problem::new(Code::Invalid, error.to_string()))?;
        Ok(Self { caller, kind, local, id })
    }

    fn missing(&self) -> Problem {
        Problem::new(Code::NotFound, format!("there is no {} {}", self.kind.actors(), self.local))
    }

    async fn view(&self, plane: &Plane) -> Result<Option<View>, Problem> {
        plane.view(&self.caller.owner, &self.id).await
    }

    fn waits(&self, plane: &Plane) -> Result<bool, Problem> {
        plane.waits(&self.caller.owner, &self.id)
    }

    /// What is said of a thing that has no row: it is not born, or waits for room.
    fn unseen(&self, code: StatusCode, status: &str) -> HttpResponse {
        answer(code, &json!({ "name": self.local, "status": status }))
    }

    fn name(&self) -> String {
        self.id.name().to_owned()
    }
}

/// What may be said of a thing that is made.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wishes {
    /// Of a workspace or a task: on this node and on no other.
    node: Option<String>,
    /// Of a node: its size.
    size: Option<String>,
}

impl Wishes {
    /// That nothing is wished for that this kind has not.
    fn check(&self, kind: Kind) -> Result<(), Problem> {
        let has_node = matches!(kind, Kind::Workspace | Kind::Task);
        let word = match (&self.node, &self.size) {
            (Some(_), _) if !has_node => "node",
            (_, Some(_)) if kind != Kind::Node => "size",
            _ => return Ok(()),
        };
        let kind = kind.actors();
        Err(Problem::new(Code::Invalid, format!("a {kind} has no `{word}` to wish for")))
    }
}

async fn tell<M>(plane: &Plane, owner: &str, message: M) -> Result<(), Problem>
where
    M: Message<Reply = ()> + Send + 'static,
    Owner: Handler<M>,
{
    let owner = plane.host.actor::<Owner>(owner).map_err(|error| problem(&error))?;
    owner.call(message).await.map_err(|error| problem(&error.into_error()))
}

/// The actor's name of a node that is there: who waits for another waits for nothing.
async fn living_node(plane: &Plane, owner: &str, node: &str) -> Result<String, Problem> {
    let name = names::node(owner, node)?;
    let id = ActorId::new(Node::KIND, &name);
    let id = id.map_err(|error| Problem::new(Code::Invalid, error.to_string()))?;
    match plane.view(owner, &id).await? {
        Some(View { tombstone: None, .. }) => Ok(name),
        _ => Err(Problem::new(Code::NotFound, format!("there is no node {node}"))),
    }
}

async fn put(
    plane: Data<Plane>,
    request: HttpRequest,
    path: web::Path<(String, String)>,
    payload: Payload,
) -> Answer {
    let named = Named::new(&plane, &request, path.into_inner())?;
    let wishes: Wishes = body(payload).await?;
    if let Some(view) = named.view(&plane).await? {
        return if view.tombstone.is_none() {
            Ok(answer(StatusCode::OK, &view))
        } else {
            let why = format!("{} has its tombstone: that name does not come back", named.local);
            Err(Problem::new(Code::Conflict, why))
        };
    }
    let (caller, owner) = (named.caller.clone(), named.caller.owner.clone());
    let name = names::new(&owner, &named.local)?;
    wishes.check(named.kind)?;
    if named.waits(&plane)? {
        return Ok(named.unseen(StatusCode::ACCEPTED, REQUESTED));
    }
    let node = match wishes.node {
        Some(node) => Some(living_node(&plane, &owner, &node).await?),
        None => None,
    };
    let (place, tenure) = (Wish { node, ..Wish::default() }, Tenure::Managed);
    match named.kind {
        Kind::Node => {
            let spec = NodeSpec {
                tenure,
                class: NodeClass::Managed,
                role: NodeRole::Workspace,
                size: wishes.size.unwrap_or_else(|| "medium".to_owned()),
                location: "here".to_owned(),
            };
            tell(&plane, &owner, RequestNode { caller, name, spec }).await?;
        }
        Kind::Workspace => {
            let spec = WorkspaceSpec { tenure, place };
            tell(&plane, &owner, CreateWorkspace { caller, name, spec }).await?;
        }
        Kind::Task => {
            let spec = TaskSpec { tenure, place, session: TaskSession::Wanted };
            tell(&plane, &owner, StartTask { caller, name, spec }).await?;
        }
        Kind::Town => tell(&plane, &owner, CreateTown { caller, name }).await?,
    }
    for _ in 0..SEEN.as_millis() / LOOK.as_millis() {
        if let Some(view) = named.view(&plane).await? {
            return Ok(answer(StatusCode::ACCEPTED, &view));
        }
        rest(LOOK).await;
    }
    Ok(named.unseen(StatusCode::ACCEPTED, REQUESTED))
}

async fn delete(
    plane: Data<Plane>,
    request: HttpRequest,
    path: web::Path<(String, String)>,
) -> Answer {
    let named = Named::new(&plane, &request, path.into_inner())?;
    let view = named.view(&plane).await?;
    if let Some(view) = view.as_ref().filter(|view| view.tombstone.is_some()) {
        return Ok(answer(StatusCode::OK, view));
    }
    if view.is_none() && !named.waits(&plane)? {
        return Err(named.missing());
    }
    let (caller, owner) = (named.caller.clone(), named.caller.owner.clone());
    let (name, why) = (named.name(), "deleted".to_owned());
    match named.kind {
        Kind::Node => tell(&plane, &owner, EndNode { caller, name, why }).await?,
        Kind::Workspace => {
            let end = WorkspaceEnd::Destroy { why };
            tell(&plane, &owner, EndWorkspace { caller, name, end }).await?;
        }
        Kind::Task => {
            tell(&plane, &owner, EndTask { caller, name, end: TaskEnd::Cancelled }).await?;
        }
        Kind::Town => tell(&plane, &owner, EndTown { caller, name, why }).await?,
    }
    match named.view(&plane).await? {
        Some(view) => Ok(answer(StatusCode::ACCEPTED, &view)),
        // It waited for room, and has never been: nothing is left of it, no tombstone either.
        None => Ok(named.unseen(StatusCode::ACCEPTED, "cancelled")),
    }
}

async fn get(
    plane: Data<Plane>,
    request: HttpRequest,
    path: web::Path<(String, String)>,
) -> Answer {
    let named = Named::new(&plane, &request, path.into_inner())?;
    let Some(mut view) = named.view(&plane).await? else {
        let waits = named.waits(&plane)?;
        let unseen = || named.unseen(StatusCode::OK, REQUESTED);
        return waits.then(unseen).ok_or_else(|| named.missing());
    };
    if named.kind == Kind::Workspace && view.tombstone.is_none() {
        view.process = plane.process(&named.id).await;
    }
    Ok(answer(StatusCode::OK, &view))
}

/// A rig wakes its town: the container is made.
async fn put_rig(
    plane: Data<Plane>,
    request: HttpRequest,
    path: web::Path<(String, String)>,
) -> Answer {
    let (town, rig) = path.into_inner();
    let named = Named::new(&plane, &request, ("towns".to_owned(), town))?;
    let Some(View { tombstone: None, .. }) = named.view(&plane).await? else {
        return Err(named.missing());
    };
    names::new(&named.caller.owner, &rig)?;
    let town = plane.host.actor::<Town>(named.id.name()).map_err(|error| problem(&error))?;
    let inspect = Inspect { caller: named.caller.clone() };
    let report = town.call(inspect).await.map_err(|error| problem(&error.into_error()))?;
    if !report.rigs.contains(&rig) {
        let add = AddRig { caller: named.caller.clone(), rig };
        town.call(add).await.map_err(|error| problem(&error.into_error()))?;
    }
    Ok(answer(StatusCode::ACCEPTED, &named.view(&plane).await?))
}

async fn list(
    plane: Data<Plane>,
    request: HttpRequest,
    kind: web::Path<String>,
    after: Query<After>,
) -> Answer {
    let owner = check_owner(&plane.platform, &request)?.owner;
    // A town's container is to be seen, although nobody makes one himself.
    let kind = match kind.as_str() {
        "containers" => Container::KIND,
        "sessions" => Session::KIND,
        word => Kind::of(word)?.actors(),
    };
    Ok(answer(StatusCode::OK, &plane.page(&owner, kind, after.into_inner()).await?))
}

async fn events(plane: Data<Plane>, request: HttpRequest, wanted: Query<Wanted>) -> Answer {
    let owner = check_owner(&plane.platform, &request)?.owner;
    let read = web::block(move || plane.events(&owner, &wanted)).await;
    let page = read.map_err(|error| Problem::new(Code::Unavailable, error.to_string()))??;
    Ok(answer(StatusCode::OK, &page))
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NewOwner {
    name: String,
}

/// Makes an owner, who may be there already, and a token for him.
async fn owners(plane: Data<Plane>, request: HttpRequest, payload: Payload) -> Answer {
    check_operator(&plane.platform, &request)?;
    let NewOwner { name } = body(payload).await?;
    names::check_owner(&name)?;
    plane.found_owner(&name).await.map_err(|error| problem(&error))?;
    let token = tokens::owner(&plane.platform, &name);
    let token = token.map_err(|error| Problem::new(Code::Unavailable, error.to_string()))?;
    Ok(answer(StatusCode::CREATED, &json!({ "name": name, "token": token })))
}

/// Whether turns can be made durable: for whoever restarts what cannot serve.
async fn health(plane: Data<Plane>) -> Answer {
    plane.host.figures().await.map_err(|error| problem(&error))?;
    Ok(answer(StatusCode::OK, &json!({ "status": "ok" })))
}

/// What the host counts, for Prometheus: of everybody, so it is an operator's.
async fn metrics(plane: Data<Plane>, request: HttpRequest) -> Answer {
    check_operator(&plane.platform, &request)?;
    let text = plane.metrics.render().await;
    Ok(HttpResponse::Ok().content_type(prometheus::CONTENT_TYPE).body(text))
}

async fn no_such_method(request: HttpRequest) -> HttpResponse {
    let message = format!("{} is not for {}", request.method(), request.path());
    answer(StatusCode::METHOD_NOT_ALLOWED, &Problem::new(Code::Invalid, message))
}

async fn nothing() -> Answer {
    Err(Problem::new(Code::NotFound, "there is no such path"))
}

/// Every path of owners and operators.
pub(crate) fn paths(app: &mut ServiceConfig) {
    let invalid = |error: actix_web::error::QueryPayloadError, _: &HttpRequest| {
        Problem::new(Code::Invalid, error.to_string()).into()
    };
    app.app_data(web::QueryConfig::default().error_handler(invalid));
    app.route("/health", web::get().to(health));
    // Some of those that watch ask so.
    app.route("/health", web::head().to(health));
    app.route("/metrics", web::get().to(metrics));
    app.route("/owners", web::post().to(owners));
    app.route("/events", web::get().to(events));
    app.route("/{kind}", web::get().to(list));
    app.route("/towns/{town}/rigs/{rig}", web::put().to(put_rig));
    app.service(
        web::resource("/{kind}/{name}")
            .route(web::get().to(get))
            .route(web::put().to(put))
            .route(web::delete().to(delete))
            .default_service(web::to(no_such_method)),
    );
    app.default_service(web::to(nothing));
}
