//! The project behind the stand-in: its servers and actions, by the API's public documentation.
//!
//! Nothing of the provider is used here. What it is sent is looked at as strictly as the
//! documentation says: names, labels, sizes, limits.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use sexton::clock::{Clock, WallClock};

use super::machines::Machines;

/// What a request is answered: a status, and a body.
pub(crate) type Answer = (u16, Value);

/// A server.
#[derive(Clone, Debug)]
pub(crate) struct Server {
    pub(crate) id: u64,
    pub(crate) name: String,
    pub(crate) status: &'static str,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) user_data: String,
    created: String,
    ip: String,
    /// The networks that it is in, once it is made.
    networks: Vec<u64>,
}

#[derive(Clone, Debug)]
struct Action {
    id: u64,
    command: &'static str,
    server: u64,
    status: &'static str,
    /// How many requests it takes still.
    left: u32,
    /// How it fails, if it does.
    failure: Option<&'static str>,
}

/// A project.
#[derive(Default)]
pub(crate) struct World {
    pub(crate) servers: BTreeMap<u64, Server>,
    actions: BTreeMap<u64, Action>,
    n_ids: u64,
    /// How many requests an action takes.
    pub(crate) steps: u32,
    pub(crate) servers_max: usize,
    /// The code with which the next action fails.
    pub(crate) next_failure: Option<&'static str>,
    /// Whether listings have everything, whatever was selected.
    pub(crate) is_deaf_to_selectors: bool,
    /// What was ordered last, whatever became of it.
    pub(crate) last_order: Option<Value>,
    /// The requests, as `GET /servers?page=1`.
    pub(crate) requests: Vec<String>,
    /// What boots when it is made.
    pub(crate) machines: Machines,
}

/// The password that the answer to a creation has in it.
pub(crate) const ROOT_PASSWORD: &str = "YItygq1v3GYjjMomLaKc";
const SIZES: [&str; 2] = ["cx22", "cx32"];
const LOCATIONS: [&str; 2] = ["fsn1", "nbg1"];

pub(crate) fn error(status: u16, code: &str) -> Answer {
    (status, json!({ "error": { "code": code, "message": format!("{code}, says the API") } }))
}

fn invalid(field: &str) -> Answer {
    let message = format!("invalid input in field '{field}'");
    let fields = json!({ "fields": [{ "name": field, "messages": ["is wrong"] }] });
    (422, json!({ "error": { "code": "invalid_input", "message": message, "details": fields } }))
}

fn is_label(text: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let is_end = |c: Option<char>| c.is_none_or(|c| c.is_ascii_alphanumeric());
    let (first, last) = (text.chars().next(), text.chars().last());
    text.len() <= 63 && text.chars().all(is_plain) && is_end(first) && is_end(last)
}

fn is_host(name: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-.".contains(c);
    !name.is_empty() && name.len() <= 63 && name.chars().all(is_plain) && !name.starts_with('-')
}

fn selects(selector: &str, labels: &BTreeMap<String, String>) -> bool {
    let is_so = |part: &str| {
        if let Some((key, value)) = part.split_once("!=") {
            return labels.get(key).is_none_or(|it| it != value);
        }
        if let Some((key, value)) = part.split_once('=') {
            return labels.get(key).is_some_and(|it| it == value.trim_start_matches('='));
        }
        part.strip_prefix('!').map_or(labels.contains_key(part), |key| !labels.contains_key(key))
    };
    selector.is_empty() || selector.split(',').all(is_so)
}

impl World {
    /// A project without servers.
    pub(crate) fn new(machines: Machines) -> Self {
        Self { steps: 2, servers_max: 1_000, machines, ..Self::default() }
    }

    fn id(&mut self) -> u64 {
        self.n_ids += 1;
        self.n_ids
    }

    /// A server that is there without an order.
    pub(crate) fn put(&mut self, name: &str, labels: &[(&str, &str)]) -> u64 {
        let id = self.id();
        let labels = labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        let server = Server {
            id,
            name: name.to_owned(),
            status: "running",
            labels: labels.collect(),
            user_data: String::new(),
            created: WallClock.now().to_string(),
            ip: self.machines.address(id),
            networks: Vec::new(),
        };
        self.servers.insert(id, server);
        id
    }

    /// What is under way ends with the next request.
    pub(crate) fn hurry(&mut self) {
        self.actions.values_mut().for_each(|action| action.left = action.left.min(1));
    }

    /// Answers a request; whatever is under way goes on by one step.
    pub(crate) fn answer(
        &mut self,
        method: &str,
        path: &str,
        query: &Query,
        body: &[u8],
    ) -> Answer {
        self.go_on();
        let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
        let id = |text: &str| text.parse::<u64>().unwrap_or(0);
        match (method, parts.as_slice()) {
            ("GET", ["servers"]) => self.list(query),
            ("POST", ["servers"]) => match serde_json::from_slice(body) {
                Ok(order) => self.create(&order),
                Err(_) => error(400, "json_error"),
            },
            ("GET", ["servers", one]) => match self.servers.get(&id(one)) {
                Some(server) => (200, json!({ "server": Self::shown(server) })),
                None => error(404, "not_found"),
            },
            ("DELETE", ["servers", one]) => self.delete(id(one)),
            ("GET", ["actions", one]) => match self.actions.get(&id(one)) {
                Some(action) => (200, json!({ "action": Self::told(action) })),
                None => error(404, "not_found"),
            },
            _ => error(404, "not_found"),
        }
    }

    fn go_on(&mut self) {
        let mut ended = Vec::new();
        for action in self.actions.values_mut().filter(|action| action.status == "running") {
            action.left = action.left.saturating_sub(1);
            if action.left == 0 {
                action.status = if action.failure.is_some() { "error" } else { "success" };
                ended.push(action.clone());
            }
        }
        for action in ended {
            let Some(server) = self.servers.get_mut(&action.server) else { continue };
            match (action.command, action.status) {
                ("create_server", "success") => {
                    server.status = "running";
                    self.machines.boot(server.id, &server.user_data);
                }
                ("delete_server", "success") => {
                    self.machines.end(action.server);
                    self.servers.remove(&action.server);
                }
                ("delete_server", _) => server.status = "running",
                _ => {}
            }
        }
    }

    fn begin(&mut self, command: &'static str, server: u64) -> Value {
        let (id, left, failure) = (self.id(), self.steps, self.next_failure.take());
        let action = Action { id, command, server, status: "running", left, failure };
        let told = Self::told(&action);
        self.actions.insert(id, action);
        told
    }

    fn told(action: &Action) -> Value {
        let is_failed = action.status == "error";
        let failure = action.failure.filter(|_| is_failed);
        let failure = failure.map(|code| json!({ "code": code, "message": "it failed" }));
        json!({
            "id": action.id, "command": action.command, "status": action.status,
            "progress": if action.left == 0 { 100 } else { 50 },
            "started": "2016-01-30T23:50:00Z", "finished": null, "error": failure,
            "resources": [{ "id": action.server, "type": "server" }],
        })
    }

    fn shown(server: &Server) -> Value {
        let is_made = server.status != "initializing";
        let networks = server.networks.iter().filter(|_| is_made);
        let networks: Vec<Value> = networks
            .map(|network| json!({ "network": network, "ip": "10.0.0.2", "alias_ips": [] }))
            .collect();
        json!({
            "id": server.id, "name": server.name, "status": server.status,
            "created": server.created, "labels": server.labels, "private_net": networks,
            "public_net": {
                "ipv4": { "ip": server.ip, "blocked": false, "dns_ptr": "server.example.com" },
                "ipv6": { "ip": "2001:db8::/64", "blocked": false, "dns_ptr": [] },
                "floating_ips": [], "firewalls": [],
            },
            "locked": false, "protection": { "delete": false, "rebuild": false }, "volumes": [],
        })
    }

    fn list(&self, query: &Query) -> Answer {
        let number = |key: &str, default: usize| {
            query.get(key).map_or(Some(default), |text| text.parse().ok()).filter(|it| *it > 0)
        };
        let (Some(page), Some(per_page)) = (number("page", 1), number("per_page", 25)) else {
            return invalid("page");
        };
        let per_page = per_page.min(50);
        let selector = query.get("label_selector").map_or("", String::as_str);
        let is_named = |server: &&Server| query.get("name").is_none_or(|it| *it == server.name);
        let is_selected =
            |server: &&Server| self.is_deaf_to_selectors || selects(selector, &server.labels);
        let found: Vec<&Server> =
            self.servers.values().filter(is_named).filter(is_selected).collect();
        let (n_found, last) = (found.len(), found.len().div_ceil(per_page).max(1));
        let shown = found.into_iter().skip((page - 1) * per_page).take(per_page);
        let shown: Vec<Value> = shown.map(Self::shown).collect();
        let pagination = json!({
            "page": page, "per_page": per_page, "last_page": last, "total_entries": n_found,
            "previous_page": (page > 1).then(|| page - 1),
            "next_page": (page < last).then(|| page + 1),
        });
        (200, json!({ "servers": shown, "meta": { "pagination": pagination } }))
    }

    fn create(&mut self, order: &Value) -> Answer {
        let text = |field: &str| order[field].as_str().unwrap_or("").to_owned();
        let (name, user_data) = (text("name"), text("user_data"));
        let labels: Option<BTreeMap<String, String>> =
            serde_json::from_value(order["labels"].clone()).ok();
        let labels = labels.filter(|it| it.iter().all(|(key, it)| is_label(key) && is_label(it)));
        let Some(labels) = labels else { return invalid("labels") };
        let checks = [
            ("name", is_host(&name)),
            ("server_type", SIZES.contains(&text("server_type").as_str())),
            ("location", LOCATIONS.contains(&text("location").as_str())),
            ("image", text("image") == "image-1"),
            ("user_data", user_data.len() <= 32 * 1024),
        ];
        if let Some((field, _)) = checks.into_iter().find(|(_, is_right)| !is_right) {
            return invalid(field);
        }
        if self.servers.values().any(|it| it.name == name) {
            return error(409, "uniqueness_error");
        }
        if self.servers.len() >= self.servers_max {
            return error(403, "resource_limit_exceeded");
        }
        let id = self.put(&name, &[]);
        let networks = order["networks"].as_array().into_iter().flatten().filter_map(Value::as_u64);
        let server = self.servers.get_mut(&id).expect("it was put there");
        (server.status, server.labels, server.user_data) = ("initializing", labels, user_data);
        server.networks = networks.collect();
        let shown = Self::shown(server);
        let action = self.begin("create_server", id);
        let next = self.begin("start_server", id);
        let created = json!({
            "server": shown, "action": action, "next_actions": [next],
            "root_password": ROOT_PASSWORD,
        });
        (201, created)
    }

    fn delete(&mut self, id: u64) -> Answer {
        match self.servers.get_mut(&id) {
            None => error(404, "not_found"),
            Some(server) if server.status == "deleting" => error(423, "locked"),
            Some(server) => {
                server.status = "deleting";
                (200, json!({ "action": self.begin("delete_server", id) }))
            }
        }
    }
}

/// What stands behind the question mark.
pub(crate) type Query = BTreeMap<String, String>;
