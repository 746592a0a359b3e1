//! A listing that lacks nothing, although its pages change while they are read.
//!
//! Servers come in the order of their ids, and a new one comes last. One that is deleted from a
//! page that was read moves those behind it forward, perhaps from a page that was not read yet
//! to one that was: it is in neither. Numbers do not show that when another one is made at the
//! same time. So several pages are read twice. What is missing in the first reading is there
//! because something that the first reading *has* was deleted, which the second one lacks: two
//! readings that are alike lack nothing.

use std::collections::BTreeMap;

use super::client::{Call, Client};
use super::faults::Failed;
use super::pace::Patience;
use super::wire::{Page, Server};

/// The most servers on a page. Specified by the API.
const PER_PAGE: usize = 50;
/// The most pages that are followed. Chosen: far more servers than any project may have.
const PAGES_MAX: u64 = 1_000;
/// How often a listing is read until two readings are alike. Chosen: more than two deletions
/// would have to fall into one listing.
const READINGS_MAX: u32 = 4;

/// What was listed.
#[derive(Debug, Default)]
pub(super) struct Listed {
    /// Whether it lacks nothing.
    pub(super) is_whole: bool,
    /// By id.
    pub(super) servers: BTreeMap<u64, Server>,
}

struct Reading {
    servers: BTreeMap<u64, Server>,
    n_pages: u32,
    /// Whether there are as many as each of the pages said, and none twice.
    is_sound: bool,
}

impl Reading {
    fn is_like(&self, other: &Self) -> bool {
        self.is_sound && other.is_sound && self.servers.keys().eq(other.servers.keys())
    }
}

/// Lists the servers that a selector selects.
pub(super) async fn list(
    client: &Client,
    selector: &str,
    patience: &mut Patience,
) -> Result<Listed, Failed> {
    let mut before: Option<Reading> = None;
    for _ in 0..READINGS_MAX {
        let now = read(client, selector, patience).await?;
        let is_whole = match &before {
            // One answer is of one moment.
            None => now.n_pages == 1 && now.is_sound,
            Some(before) => now.is_like(before),
        };
        if is_whole {
            return Ok(Listed { is_whole, servers: now.servers });
        }
        before = Some(now);
    }
    let servers = before.map(|before| before.servers).unwrap_or_default();
    Ok(Listed { is_whole: false, servers })
}

async fn read(client: &Client, selector: &str, patience: &mut Patience) -> Result<Reading, Failed> {
    let mut reading = Reading { servers: BTreeMap::new(), n_pages: 0, is_sound: true };
    let (mut page, mut totals) = (1, Vec::new());
    loop {
        let query = format!("label_selector={}&sort=id:asc", escaped(selector));
        let path = format!("/servers?{query}&per_page={PER_PAGE}&page={page}");
        let answer: Page = client.send(&Call::get(path), patience).await?;
        reading.n_pages += 1;
        for server in answer.servers {
            reading.is_sound &= reading.servers.insert(server.id, server).is_none();
        }
        let pagination = answer.meta.pagination;
        totals.extend(pagination.total_entries);
        let Some(next) = pagination.next_page else { break };
        if next <= page || next > PAGES_MAX {
            let place = format!("page {next} is said to follow page {page}");
            return Err(Failed::Unreadable { status: 200, place });
        }
        page = next;
    }
    let n_servers = u64::try_from(reading.servers.len()).unwrap_or(u64::MAX);
    reading.is_sound &= totals.iter().all(|total| *total == n_servers);
    Ok(reading)
}

/// A selector as a part of a query.
fn escaped(selector: &str) -> String {
    sexton_agent::callbacks::escaped(selector)
}
