//! What owners see: rows while a thing lives, and what its tombstone says ever after.

use std::collections::BTreeMap;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use serde::{Deserialize, Serialize};
use sexton::{
    Actor, ActorId, ActorRef, Entry, ErrorKind, Query, RowRecord, RowView, Value, index, query,
};
use sexton_agent::wire::{Code, Problem, View as Process};
use sexton_fleet::{Node, Owner, TaskRunner, Town, Workspace};
use sexton_providers::{Provider, workspace_id};

use crate::names;
use crate::plane::Plane;

/// The most rows of a page.
const PAGE_MAX: usize = 100;

/// A thing of an owner's.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct View {
    /// What he calls it.
    pub(crate) name: String,
    /// What it is doing; of one that has a tombstone, what it did last.
    pub(crate) status: String,
    /// Since when.
    pub(crate) since: String,
    /// Which of its lives.
    pub(crate) life: u32,
    /// What else its actor shows.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) shows: BTreeMap<String, serde_json::Value>,
    /// Why nothing goes on with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) stalled: Option<String>,
    /// What is there of it, while somebody can say so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) process: Option<Running>,
    /// Its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tombstone: Option<Tomb>,
}

/// A process, as its agent sees it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Running {
    pid: Option<i32>,
    directory: String,
}

/// A tombstone.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Tomb {
    at: String,
    why: String,
    by: String,
    turns: u64,
}

/// A page of things.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Page {
    items: Vec<View>,
    /// Where the next page begins: hand it over as `?after=`.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// Where a page begins.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct After {
    after: Option<String>,
}

/// An answer for programs and for people who type `curl`.
pub(crate) fn json(status: StatusCode, body: &impl Serialize) -> HttpResponse {
    match serde_json::to_string_pretty(body) {
        Ok(text) => HttpResponse::build(status).content_type("application/json").body(text + "\n"),
        Err(error) => HttpResponse::InternalServerError().body(error.to_string()),
    }
}

/// What the runtime's error is to whoever calls.
pub(crate) fn problem(error: &sexton::Error) -> Problem {
    let code = match error.kind() {
        ErrorKind::NotFound => Code::NotFound,
        ErrorKind::Exists | ErrorKind::Destroyed | ErrorKind::Refused => Code::Conflict,
        // Nothing took effect; of `Unconfirmed` nobody knows: he looks, and asks again.
        ErrorKind::Busy | ErrorKind::Closed | ErrorKind::Unconfirmed | ErrorKind::Corrupt | _ => {
            Code::Unavailable
        }
    };
    Problem::new(code, error.to_string())
}

fn value(value: &Value) -> serde_json::Value {
    match value {
        Value::Text(text) => text.as_str().into(),
        Value::Number(number) => (*number).into(),
        Value::Flag(flag) => (*flag).into(),
        Value::Time(at) => at.to_string().into(),
    }
}

/// The row of a thing, with names as its owner knows them.
fn of_row(owner: &str, row: &RowView) -> Option<View> {
    let RowRecord { row: shown, incarnation, status_since, stalled, .. } = &row.record;
    let field = |(name, shown): &(String, Value)| {
        let shown = match shown {
            Value::Text(text) => names::local(owner, text).unwrap_or(text).into(),
            Value::Number(_) | Value::Flag(_) | Value::Time(_) => value(shown),
        };
        (name.clone(), shown)
    };
    Some(View {
        name: names::local(owner, row.id.name())?.to_owned(),
        status: row.status.clone(),
        since: status_since.to_string(),
        life: *incarnation,
        shows: shown.fields.iter().map(field).collect(),
        stalled: stalled.clone(),
        process: None,
        tombstone: None,
    })
}

impl Plane {
    /// What lies under an owner's name for a thing; `None` is nothing, and nothing of his.
    pub(crate) async fn view(&self, owner: &str, id: &ActorId) -> Result<Option<View>, Problem> {
        let failed = |error: sexton::Error| problem(&error);
        let Some(local) = names::local(owner, id.name()) else { return Ok(None) };
        match self.host.any(id.clone()).entry().await.map_err(failed)? {
            None => Ok(None),
            Some(Entry::Tombstone(tomb)) => Ok(Some(View {
                name: local.to_owned(),
                status: tomb.status,
                since: tomb.at.to_string(),
                life: tomb.incarnation,
                shows: BTreeMap::new(),
                stalled: None,
                process: None,
                tombstone: Some(Tomb {
                    at: tomb.at.to_string(),
                    why: tomb.why,
                    by: tomb.by,
                    turns: tomb.turns,
                }),
            })),
            Some(Entry::Alive(_)) => match self.row(id).await {
                Ok(row) => Ok(of_row(owner, &row)),
                // It has ended since.
                Err(error) if error.kind() == ErrorKind::Destroyed => {
                    Box::pin(self.view(owner, id)).await
                }
                Err(error) => Err(problem(&error)),
            },
        }
    }

    /// Whether a workspace is asked for and is not over: while it waits for room only its owner knows
    /// of it.
    pub(crate) fn waits(&self, owner: &str, id: &ActorId) -> Result<bool, Problem> {
        let who = ActorId::new(Owner::KIND, owner);
        let who = who.map_err(|error| Problem::new(Code::Invalid, error.to_string()))?;
        let state = query::state::<Owner>(&**self.host.store(), &who);
        let state = state.map_err(|error| problem(&error))?;
        let is_workspace = id.kind() == Workspace::KIND;
        Ok(is_workspace && state.is_some_and(|owner| owner.knows(id.name())))
    }

    async fn row(&self, id: &ActorId) -> Result<RowView, sexton::Error> {
        match id.kind() {
            Node::KIND => self.host.actor::<Node>(id.name())?.row().await,
            Workspace::KIND => self.host.actor::<Workspace>(id.name())?.row().await,
            TaskRunner::KIND => self.host.actor::<TaskRunner>(id.name())?.row().await,
            _ => self.host.actor::<Town>(id.name())?.row().await,
        }
    }

    /// The process of a workspace: asked of the agent, and left out if that does not answer.
    pub(crate) async fn process(&self, id: &ActorId) -> Option<Running> {
        let row = self.row(id).await.ok()?;
        let node = ActorId::new(Node::KIND, row.record.text("node")?).ok()?;
        let node = match query::entry(&**self.host.store(), &node).ok()?? {
            Entry::Alive(record) => ActorRef { id: node, incarnation: record.incarnation },
            Entry::Tombstone(_) => return None,
        };
        let made = self.provider.get(&node).await.ok()??;
        let life = ActorRef { id: id.clone(), incarnation: row.record.incarnation };
        let listed = self.agents.list(&made.machine, &node).await.ok()?;
        let of_it = |it: &Process| it.id == workspace_id(&life);
        let Process { pid, directory, .. } = listed.into_iter().find(of_it)?;
        Some(Running { pid, directory })
    }

    /// An owner's living things of a kind.
    pub(crate) async fn page(
        &self,
        owner: &str,
        kind: &str,
        after: After,
    ) -> Result<Page, Problem> {
        let mut query = Query::of(kind).owner(owner).limit(PAGE_MAX);
        if let Some(after) = after.after {
            let invalid = |error: index::NotACursor| Problem::new(Code::Invalid, error.to_string());
            query = query.after(after.parse().map_err(invalid)?);
        }
        let page = self.host.index().page(query).await.map_err(|error| problem(&error))?;
        let items = page.rows.iter().filter_map(|(_, row)| of_row(owner, row)).collect();
        Ok(Page { items, next: page.next.map(|cursor| cursor.to_string()) })
    }
}
