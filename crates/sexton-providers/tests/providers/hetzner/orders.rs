//! Orders: made once whatever becomes of the answer, in nobody else's name, and refused by class.

use std::time::Duration;

use sexton_fleet::Fault;
use sexton_providers::hetzner::{Hetzner, Project, Sizes, Token, UserData};
use sexton_providers::{Order, Provider};

use super::super::support::{Ground, node};
use super::cloud::{Cloud, TOKEN, Trouble, open};
use super::world::World;

pub(super) fn order(name: &str) -> Order {
    Order { owner: node(name), size: "cx22".to_owned(), location: "fsn1".to_owned() }
}

/// Long enough for any answer, and short enough to wait for.
const SHORT: Duration = Duration::from_secs(2);

// Seen to fail when a lost answer is another class, and when an order does not look first.
#[tokio::test]
async fn an_order_whose_answer_is_lost_makes_one_server_that_the_next_order_finds() {
    let ground = Ground::new();
    let html = || "<html>gateway</html>".to_owned();
    for trouble in [
        Trouble::Lost,
        Trouble::Cut,
        Trouble::Half,
        Trouble::Never,
        Trouble::Said(500, html()),
        Trouble::Said(504, "{\"error\": {\"code\": \"timeout\"".to_owned()),
        Trouble::Said(409, html()),
        Trouble::Said(200, html()),
    ] {
        let cloud = Cloud::begin(None);
        let project = Project { timeout: SHORT, ..cloud.project(&ground, "ours") };
        let provider = open(&ground, project);
        cloud.once(&["POST /servers"], trouble);
        let error = provider.create(&order("n-1")).await.unwrap_err();
        assert_eq!(error.fault, Fault::Network, "{error}");
        assert_eq!(cloud.n_requests("POST"), 1, "what makes is not sent twice");
        let found = provider.get(&node("n-1")).await.unwrap();
        let made = provider.create(&order("n-1")).await.unwrap();
        assert_eq!(found, Some(made.clone()));
        assert_eq!((cloud.n_requests("POST"), cloud.n_servers()), (1, 1));
        let listing = provider.list().await.unwrap();
        assert!(listing.complete);
        assert_eq!(listing.machines, [made]);
    }
}

/// Another control plane of ours was faster, by a moment.
fn ours(world: &mut World) {
    let order = world.last_order.clone().expect("there was one");
    let labels: Vec<(&str, &str)> = order["labels"]
        .as_object()
        .expect("they are an object")
        .iter()
        .map(|(key, value)| (key.as_str(), value.as_str().expect("a text")))
        .collect();
    world.put(order["name"].as_str().expect("a text"), &labels);
}

fn theirs(world: &mut World) {
    let name = world.last_order.clone().expect("there was one")["name"].clone();
    world.put(name.as_str().expect("a text"), &[("env", "production")]);
}

// Seen to fail when a taken name is an error, and when whoever has the name is taken as ours.
#[tokio::test]
async fn a_name_that_is_taken_is_ours_by_its_labels_or_an_error() {
    let (ground, cloud) = (Ground::new(), Cloud::begin(None));
    let provider = cloud.open(&ground, "ours");
    cloud.once(&["POST /servers"], Trouble::Meanwhile(ours));
    let made = provider.create(&order("n-1")).await.unwrap();
    assert_eq!(cloud.n_servers(), 1);
    assert_eq!(provider.get(&node("n-1")).await.unwrap(), Some(made));
    cloud.once(&["POST /servers"], Trouble::Meanwhile(theirs));
    let error = provider.create(&order("n-2")).await.unwrap_err();
    assert_eq!(error.fault, Fault::Invalid, "{error}");
    assert!(error.message.starts_with("server 2 is called n-2-"), "{error}");
    assert_eq!(provider.get(&node("n-2")).await.unwrap(), None, "not adopted");
    provider.delete(&node("n-2")).await.unwrap();
    assert!(cloud.world().servers.contains_key(&2), "and not deleted");
    // Taken when it was ordered, and free when it was looked up: ordered again later.
    cloud.once(&["POST /servers"], Trouble::code(409, "uniqueness_error"));
    let error = provider.create(&order("n-3")).await.unwrap_err();
    assert_eq!(error.fault, Fault::Network, "{error}");
    provider.create(&order("n-3")).await.unwrap();
}

#[tokio::test]
async fn what_the_api_refuses_is_told_by_class_and_nothing_is_made() {
    let (ground, cloud) = (Ground::new(), Cloud::begin(None));
    let provider = cloud.open(&ground, "ours");
    for (status, code, expected) in [
        (412, "resource_unavailable", Fault::Capacity),
        (422, "placement_error", Fault::Capacity),
        (403, "server_limit_exceeded", Fault::Quota),
        (401, "unauthorized", Fault::Auth),
        (422, "invalid_input", Fault::Invalid),
        (404, "not_found", Fault::NotFound),
        (403, "maintenance", Fault::Unknown),
    ] {
        let before = cloud.n_requests("POST");
        cloud.once(&["POST /servers"], Trouble::code(status, code));
        let error = provider.create(&order("n-1")).await.unwrap_err();
        assert_eq!(error.fault, expected, "{code}");
        let source = std::error::Error::source(&error).unwrap().to_string();
        assert!(source.contains(code), "{source}");
        assert_eq!(cloud.n_requests("POST"), before + 1, "{code}");
    }
    let elsewhere = Order { location: "mars".to_owned(), ..order("n-1") };
    assert_eq!(provider.create(&elsewhere).await.unwrap_err().fault, Fault::Region);
    let unknown = Order { size: "cx99".to_owned(), ..order("n-1") };
    assert_eq!(provider.create(&unknown).await.unwrap_err().fault, Fault::Invalid);
    assert!(cloud.n_servers() == 0);
    cloud.world().servers_max = 1;
    provider.create(&order("n-1")).await.unwrap();
    assert_eq!(provider.create(&order("n-2")).await.unwrap_err().fault, Fault::Quota);
}

// Seen to fail when the action of an order is not waited for.
#[tokio::test]
async fn an_order_ends_as_its_action_does_and_what_it_left_is_listed() {
    let (ground, cloud) = (Ground::new(), Cloud::begin(None));
    let provider = cloud.open(&ground, "ours");
    cloud.world().next_failure = Some("resource_unavailable");
    let error = provider.create(&order("n-1")).await.unwrap_err();
    assert_eq!(error.fault, Fault::Capacity, "{error}");
    assert_eq!(provider.list().await.unwrap().machines.len(), 1, "it costs until it is deleted");
    provider.delete(&node("n-1")).await.unwrap();
    assert!(cloud.n_servers() == 0);
    // Longer under way than a call has patience: asked again, it is waited for again.
    cloud.world().steps = u32::MAX;
    let project = Project { patience: SHORT, ..cloud.project(&ground, "ours") };
    let hasty = open(&ground, project);
    let error = hasty.create(&order("n-2")).await.unwrap_err();
    assert_eq!(error.fault, Fault::Network, "{error}");
    let error = hasty.create(&order("n-2")).await.unwrap_err();
    assert_eq!(error.fault, Fault::Network, "{error}");
    cloud.world().hurry();
    provider.create(&order("n-2")).await.unwrap();
    assert_eq!(cloud.n_servers(), 1);
}

// Seen to fail when whatever hinders the look at an action is an answer about the order.
#[tokio::test]
async fn an_order_that_was_taken_is_not_refused_because_nobody_could_look() {
    let ground = Ground::new();
    for trouble in [
        Trouble::code(404, "not_found"),
        Trouble::code(401, "unauthorized"),
        Trouble::too_many(&[("retry-after", "3600")]),
    ] {
        let cloud = Cloud::begin(None);
        cloud.once(&["GET /actions"], trouble);
        let error = cloud.open(&ground, "ours").create(&order("n-1")).await.unwrap_err();
        assert_eq!(error.fault, Fault::Network, "{error}");
        assert!(cloud.is_spent());
        cloud.open(&ground, "ours").create(&order("n-1")).await.unwrap();
        assert_eq!(cloud.n_requests("POST"), 1);
    }
}

// Seen to fail when the address on the internet is taken whatever the project says.
#[tokio::test]
async fn an_agent_is_reached_in_the_private_network_where_there_is_one() {
    let (ground, cloud) = (Ground::new(), Cloud::begin(None));
    let project = Project { network: Some(4711), ..cloud.project(&ground, "ours") };
    let port = project.agent_port;
    let made = open(&ground, project).create(&order("n-1")).await.unwrap();
    assert_eq!(made.machine.address, format!("10.0.0.2:{port}"));
    let made = cloud.open(&ground, "ours").create(&order("n-1")).await.unwrap();
    assert!(made.machine.address.starts_with("127."), "{}", made.machine.address);
}

// Seen to fail when the list is not looked at.
#[tokio::test]
async fn a_type_that_the_list_does_not_sell_is_refused_without_an_order() {
    let (ground, cloud) = (Ground::new(), Cloud::begin(None));
    let prices = r#"[{"location": "fsn1", "price_hourly": {"net": "0.0060"},
        "price_monthly": {"net": "3.79"}}]"#;
    let of = |name: &str, deprecated| {
        format!(
            r#"{{"name": "{name}", "cores": 2, "memory": 4.0, "disk": 40,
                "deprecated": {deprecated}, "prices": {prices}}}"#
        )
    };
    let list = format!(r#"{{"server_types": [{}, {}]}}"#, of("cx22", false), of("cx21", true));
    let sizes = Some(Sizes::read("a list", &list).unwrap());
    let provider = open(&ground, Project { sizes, ..cloud.project(&ground, "ours") });
    for (size, location, expected) in [
        ("cx99", "fsn1", Fault::Invalid),
        ("cx21", "fsn1", Fault::Invalid),
        ("cx22", "nbg1", Fault::Region),
    ] {
        let (size, location) = (size.to_owned(), location.to_owned());
        let error = provider.create(&Order { size, location, ..order("n-1") }).await.unwrap_err();
        assert_eq!(error.fault, expected, "{error}");
    }
    assert_eq!(cloud.n_requests("POST"), 0);
    let made = provider.create(&order("n-1")).await.unwrap();
    // What is there is found, also when it is sold no longer.
    let sizes = Some(Sizes::read("a list", &list.replace("false", "true")).unwrap());
    let provider = open(&ground, Project { sizes, ..cloud.project(&ground, "ours") });
    assert_eq!(provider.create(&order("n-1")).await.unwrap(), made);
    assert_eq!(provider.create(&order("n-2")).await.unwrap_err().fault, Fault::Invalid);
}

// Seen to fail when the length of user data is not looked at, and when `http` is taken.
#[tokio::test]
async fn what_cannot_be_sent_is_refused_before_it_is() {
    let (ground, cloud) = (Ground::new(), Cloud::begin(None));
    let user_data = UserData::new(|_| "x".repeat(32 * 1024 + 1));
    let provider = open(&ground, Project { user_data, ..cloud.project(&ground, "ours") });
    assert_eq!(provider.create(&order("n-1")).await.unwrap_err().fault, Fault::Invalid);
    assert_eq!(cloud.n_requests("POST"), 0);
    for (endpoint, is_right) in [
        ("http://api.hetzner.cloud/v1", false),
        ("http://localhost.example/v1", false),
        ("ftp://127.0.0.1/v1", false),
        ("api.hetzner.cloud", false),
        ("https://api.hetzner.cloud/v1/", true),
        ("http://127.0.0.1:80/v1", true),
        ("http://[::1]:80/v1", true),
    ] {
        let endpoint = endpoint.to_owned();
        let project = Project { endpoint, ..cloud.project(&ground, "ours") };
        let endpoint = project.endpoint.clone();
        let token = Token::new(TOKEN).unwrap();
        let opened = Hetzner::open(project, token, std::sync::Arc::clone(&ground.platform));
        assert_eq!(opened.is_ok(), is_right, "{endpoint}");
    }
}
