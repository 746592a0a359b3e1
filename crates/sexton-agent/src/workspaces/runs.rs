//! Runs inside a workspace: begun once, ended, and seen when they end by themselves.
//!
//! How a process ended is told by the system to its parent, once. So one pass after the other
//! takes the ends of those that are over and writes them down before anybody is told: an agent
//! that is killed then tells it when it is back. What ended while no agent was its parent is
//! over, and nobody knows how.

use std::ffi::OsString;

use serde::{Deserialize, Serialize};

use crate::clock;
use crate::process::{self, Process, SESSION_MARK};
use crate::wire::{About, Code, Doing, Problem, Run, RunEnd, View};

use super::{Call, Workspaces, check, missing, tombstones, unavailable};

/// The most runs inside one workspace that are remembered. Chosen: there is one at a time.
const SESSIONS_MAX: usize = 64;

/// A run of whose end somebody shall be told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Watched {
    about: About,
    /// How it ended, once that was seen.
    end: Option<RunEnd>,
}

/// A run that is over, and of which nobody was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Over {
    /// The workspace that it was in.
    pub workspace: String,
    /// Its id there.
    pub session: String,
    /// Whom it was for.
    pub about: About,
    /// How it ended.
    pub end: RunEnd,
}

impl Workspaces {
    /// Begins a run inside a workspace, or finds the one that was begun, also if it has ended by
    /// itself. One that was ended by a call does not begin.
    ///
    /// # Errors
    ///
    /// [`Code::NotFound`], [`Code::Gone`] if the run was ended by a call, [`Code::Conflict`] if the
    /// workspace does not run, [`Code::Invalid`], [`Code::Full`], [`Code::Unauthorized`] if it came
    /// too late, [`Code::Unavailable`].
    pub fn begin(&self, id: &str, session: &str, of: (Call, Run)) -> Result<View, Problem> {
        let (call, run) = of;
        self.files(id)?;
        self.files(session)?;
        check(&run.command)?;
        let _change = self.change(call)?;
        let mut record = self.load(id)?.ok_or_else(|| missing(id))?;
        if record.ceased.contains_key(session) {
            let why = format!("run {session} of workspace {id} was ended, and begins no more");
            return Err(Problem::new(Code::Gone, why));
        }
        if matches!(record.sessions.get(session), Some(Some(_))) {
            return Ok(self.view(id, &record));
        }
        if self.view(id, &record).doing != Doing::Running {
            return Err(Problem::new(Code::Conflict, format!("workspace {id} does not run")));
        }
        if record.sessions.len() >= SESSIONS_MAX {
            let why = format!("workspace {id} had {SESSIONS_MAX} runs, and no more may be");
            return Err(Problem::new(Code::Full, why));
        }
        // One that was begun and not recorded is ended, and begun anew.
        record.sessions.insert(session.to_owned(), None);
        self.store(id, &record)?;
        self.end_session(id, session, None)?;
        let process = self.spawn(id, &run.command, Some(&self.session_mark(id, session)))?;
        record.sessions.insert(session.to_owned(), Some(process));
        if let Some(about) = run.about {
            record.watched.insert(session.to_owned(), Watched { about, end: None });
        }
        self.store(id, &record)?;
        Ok(self.view(id, &record))
    }

    /// Ends a run inside a workspace for good; whoever asks needs not be told. No such thing is
    /// done.
    ///
    /// # Errors
    ///
    /// [`Code::Invalid`], [`Code::Unauthorized`] if it came too late, [`Code::Unavailable`].
    pub fn cease(&self, id: &str, session: &str, call: Call) -> Result<(), Problem> {
        self.files(id)?;
        self.files(session)?;
        let _change = self.change(call)?;
        let Some(mut record) = self.load(id)? else { return Ok(()) };
        let process = record.sessions.remove(session).flatten();
        record.watched.remove(session);
        let now = clock::now_s();
        record.ceased.retain(|_, at| !tombstones::is_over(*at, now));
        record.ceased.insert(session.to_owned(), now);
        self.end_session(id, session, process.as_ref())?;
        self.store(id, &record)
    }

    /// Looks which runs are over, writes down how they ended, and returns those of which nobody
    /// was told yet. Of a workspace that cannot be read nothing is said; the others are.
    ///
    /// # Errors
    ///
    /// [`Code::Unavailable`] if the workspaces cannot be listed.
    pub fn over(&self) -> Result<Vec<Over>, Problem> {
        let _change = self.lock();
        let ids = self.ids().map_err(|error| unavailable("list the workspaces", &error))?;
        let mut over = Vec::new();
        for workspace in ids {
            match self.over_in(&workspace) {
                Ok(ends) => over.extend(ends),
                Err(error) => {
                    tracing::warn!(target: "sexton", workspace, %error, "its runs were not seen");
                }
            }
        }
        Ok(over)
    }

    fn over_in(&self, workspace: &str) -> Result<Vec<Over>, Problem> {
        let Some(mut record) = self.load(workspace)? else { return Ok(Vec::new()) };
        let mut is_new = false;
        for (session, process) in &record.sessions {
            let Some(process) = process else { continue };
            let end = process.take_end();
            if process.is_alive() {
                continue;
            }
            if let Some(watched) = record.watched.get_mut(session).filter(|it| it.end.is_none()) {
                watched.end = Some(end.unwrap_or(RunEnd::Unseen));
                is_new = true;
            }
        }
        if is_new {
            self.store(workspace, &record)?;
        }
        let over = record.watched.into_iter().filter_map(|(session, watched)| {
            let (workspace, about) = (workspace.to_owned(), watched.about);
            Some(Over { workspace, session, about, end: watched.end? })
        });
        Ok(over.collect())
    }

    /// Whoever had to know of the end of a run knows it, or does not want to.
    ///
    /// # Errors
    ///
    /// [`Code::Unavailable`]: he is told once more then.
    pub fn told(&self, over: &Over) -> Result<(), Problem> {
        let _change = self.lock();
        let Some(mut record) = self.load(&over.workspace)? else { return Ok(()) };
        record.watched.remove(&over.session);
        self.store(&over.workspace, &record)
    }

    fn session_mark(&self, id: &str, session: &str) -> OsString {
        let mut mark = self.directory.join(id).into_os_string();
        mark.push("#");
        mark.push(session);
        mark
    }

    fn end_session(&self, id: &str, of: &str, leader: Option<&Process>) -> Result<(), Problem> {
        let mark = self.session_mark(id, of);
        let ended = process::end(|| process::members((SESSION_MARK, &mark), leader));
        ended.map_err(|error| unavailable("end the processes", &error))?;
        if let Some(leader) = leader {
            leader.reap();
        }
        Ok(())
    }
}
