//! What the API says and is told: the parts of it that are looked at.
//!
//! What is not looked at is not read either: the answer to a creation has a root password in it.

use std::collections::BTreeMap;

use chrono::DateTime;
use serde::{Deserialize, Deserializer, Serialize};
use sexton::Timestamp;

/// The labels of a server, in order.
pub(super) type Labels = BTreeMap<String, String>;

/// A server that shall be made.
#[derive(Serialize)]
pub(super) struct Order<'a> {
    pub(super) name: &'a str,
    pub(super) server_type: &'a str,
    pub(super) location: &'a str,
    pub(super) image: &'a str,
    pub(super) ssh_keys: &'a [String],
    pub(super) networks: Vec<u64>,
    pub(super) firewalls: Vec<Firewall>,
    pub(super) labels: &'a Labels,
    pub(super) user_data: &'a str,
    pub(super) start_after_create: bool,
}

/// A firewall, by its id.
#[derive(Serialize)]
pub(super) struct Firewall {
    pub(super) firewall: u64,
}

/// A server.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Server {
    pub(super) id: u64,
    pub(super) name: String,
    pub(super) status: String,
    #[serde(deserialize_with = "moment")]
    pub(super) created: Timestamp,
    #[serde(default)]
    pub(super) public_net: PublicNet,
    #[serde(default)]
    pub(super) private_net: Vec<PrivateNet>,
    #[serde(default)]
    pub(super) labels: Labels,
}

/// Its addresses on the internet.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct PublicNet {
    pub(super) ipv4: Option<Address>,
}

/// An address.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Address {
    pub(super) ip: String,
}

/// Its address in one private network.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct PrivateNet {
    pub(super) network: u64,
    pub(super) ip: String,
}

/// The answer about one server.
#[derive(Debug, Deserialize)]
pub(super) struct OneServer {
    pub(super) server: Server,
}

/// The answer to a creation.
#[derive(Debug, Deserialize)]
pub(super) struct Created {
    pub(super) server: Server,
    pub(super) action: Action,
    #[serde(default)]
    pub(super) next_actions: Vec<Action>,
}

/// Work that goes on behind the API.
#[derive(Debug, Deserialize)]
pub(super) struct Action {
    pub(super) id: u64,
    pub(super) status: String,
    #[serde(default)]
    pub(super) error: Option<Problem>,
}

/// The answer about an action, and the one to a deletion.
#[derive(Debug, Deserialize)]
pub(super) struct OneAction {
    pub(super) action: Action,
}

/// A page of a listing.
#[derive(Debug, Deserialize)]
pub(super) struct Page {
    pub(super) servers: Vec<Server>,
    pub(super) meta: Meta,
}

/// What is said about a page.
#[derive(Debug, Deserialize)]
pub(super) struct Meta {
    pub(super) pagination: Pagination,
}

/// Where a page stands. What is not known is `null` there.
#[derive(Debug, Deserialize)]
pub(super) struct Pagination {
    pub(super) next_page: Option<u64>,
    pub(super) total_entries: Option<u64>,
}

/// The body of an error.
#[derive(Debug, Deserialize)]
pub(super) struct Refused {
    pub(super) error: Problem,
}

/// An error, as the API names it.
#[derive(Debug, Deserialize)]
pub(super) struct Problem {
    pub(super) code: String,
    #[serde(default)]
    pub(super) message: String,
    #[serde(default)]
    pub(super) details: Option<Details>,
}

/// What an error is about; other errors have other details.
#[derive(Debug, Deserialize)]
pub(super) struct Details {
    #[serde(default)]
    pub(super) fields: Vec<Field>,
}

/// A field of a request.
#[derive(Debug, Deserialize)]
pub(super) struct Field {
    pub(super) name: String,
}

/// A moment as the API writes it.
pub(super) fn moment_of(text: &str) -> Option<Timestamp> {
    let moment = DateTime::parse_from_rfc3339(text).ok()?;
    Some(Timestamp::from_millis(moment.timestamp_millis()))
}

fn moment<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
    let text = String::deserialize(deserializer)?;
    moment_of(&text).ok_or_else(|| serde::de::Error::custom("this is no moment"))
}
