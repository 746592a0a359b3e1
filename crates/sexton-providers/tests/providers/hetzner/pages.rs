//! Listings: many pages, pages that change while they are read, and answers that are none.

use std::collections::BTreeSet;

use sexton::ActorRef;
use sexton_fleet::Fault;
use sexton_providers::hetzner::Hetzner;
use sexton_providers::{Listing, Provider};

use super::super::support::{Ground, node};
use super::cloud::{Cloud, Trouble};
use super::orders::order;
use super::world::World;

/// How many servers are ours: three pages.
const N_OURS: usize = 120;

/// A project with that many servers of ours, and others between them.
async fn full(ground: &Ground) -> (Cloud, Hetzner) {
    let cloud = Cloud::begin(None);
    let provider = cloud.open(ground, "ours");
    cloud.world().steps = 1;
    for index in 0..N_OURS {
        provider.create(&order(&format!("n-{index:03}"))).await.expect("there is room");
        if index.is_multiple_of(10) {
            cloud.world().put(&format!("other-{index}"), &[("sexton-installation", "theirs")]);
        }
    }
    (cloud, provider)
}

fn owners(listing: &Listing) -> Vec<ActorRef> {
    let mut owners: Vec<ActorRef> =
        listing.machines.iter().map(|made| made.owner.clone()).collect();
    owners.sort();
    owners
}

/// Deletes the oldest server of ours, and makes another: the numbers stay the same.
fn swap(world: &mut World) {
    let oldest = world.servers.values().find(|it| it.name.starts_with("n-")).cloned();
    let oldest = oldest.expect("there are many");
    world.servers.remove(&oldest.id);
    let labels: Vec<(&str, &str)> =
        oldest.labels.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    world.put(&oldest.name, &labels);
}

fn shrink(world: &mut World) {
    let oldest = world.servers.values().find(|it| it.name.starts_with("n-")).map(|it| it.id);
    world.servers.remove(&oldest.expect("there are many"));
}

// Seen to fail when only the first page is read, and when others' servers are not left out.
#[tokio::test]
async fn a_listing_has_every_page_and_nothing_of_others() {
    let ground = Ground::new();
    let (cloud, provider) = full(&ground).await;
    let before = cloud.n_requests("");
    let listing = provider.list().await.unwrap();
    assert!(listing.complete);
    let expected: Vec<ActorRef> = (0..N_OURS).map(|index| node(&format!("n-{index:03}"))).collect();
    assert_eq!(owners(&listing), expected);
    assert_eq!(cloud.n_requests("") - before, 6, "three pages, read twice");
    // An API that does not select.
    cloud.world().is_deaf_to_selectors = true;
    let listing = provider.list().await.unwrap();
    assert_eq!((listing.complete, owners(&listing)), (true, expected));
    assert_eq!(provider.get(&node("nobody")).await.unwrap(), None);
    provider.delete(&node("nobody")).await.unwrap();
    assert_eq!(cloud.n_servers(), N_OURS + 12);
}

// Seen to fail when one reading is enough if its numbers agree: n-050 is in no page of it.
#[tokio::test]
async fn a_server_that_moves_to_a_page_that_was_read_is_not_missed() {
    let ground = Ground::new();
    let (cloud, provider) = full(&ground).await;
    for change in [swap, shrink] {
        cloud.once(&["GET /servers?", "&page=2&"], Trouble::Meanwhile(change));
        cloud.once(&["GET /servers?", "&page=3&"], Trouble::Meanwhile(change));
        let listing = provider.list().await.unwrap();
        assert!(listing.complete && cloud.is_spent());
        let listed: BTreeSet<String> =
            listing.machines.into_iter().map(|made| made.machine.id).collect();
        let world = cloud.world();
        let ours = world.servers.values().filter(|it| it.name.starts_with("n-"));
        assert_eq!(listed, ours.map(|it| it.id.to_string()).collect());
    }
}

// Seen to fail when the last reading counts as whole.
#[tokio::test]
async fn a_listing_that_never_stands_still_says_that_it_may_lack_something() {
    let ground = Ground::new();
    let (cloud, provider) = full(&ground).await;
    for _ in 0..4 {
        cloud.once(&["GET /servers?", "&page=2&"], Trouble::Meanwhile(swap));
    }
    let listing = provider.list().await.unwrap();
    assert!(!listing.complete && cloud.is_spent());
    assert!(provider.list().await.unwrap().complete, "and the next one does");
}

// Seen to fail when a server whose labels name nobody is passed over.
#[tokio::test]
async fn a_server_of_ours_that_names_nobody_makes_the_listing_incomplete() {
    let (ground, cloud) = (Ground::new(), Cloud::begin(None));
    let provider = cloud.open(&ground, "ours");
    let made = provider.create(&order("n-1")).await.unwrap();
    let id = cloud.world().put("odd", &[("sexton-installation", "ours")]);
    let listing = provider.list().await.unwrap();
    assert!(!listing.complete);
    assert_eq!(listing.machines, [made]);
    cloud.world().servers.remove(&id);
    assert!(provider.list().await.unwrap().complete);
}

// Seen to fail when a page that follows itself is followed, and when a total is not looked at.
#[tokio::test]
async fn an_answer_that_is_none_is_an_error_and_no_empty_listing() {
    let ground = Ground::new();
    for body in [
        "",
        "{}",
        "[]",
        "null",
        r#"{"servers": []}"#,
        r#"{"servers": [], "meta": {"pagination": {"next_page": 1}}}"#,
        r#"{"servers": [{"id": 1}], "meta": {"pagination": {"next_page": null}}}"#,
        r#"{"servers": [], "meta": {"pagination": {"next_page": 4611686018427387904}}}"#,
    ] {
        let cloud = Cloud::begin(None);
        let mut project = cloud.project(&ground, "ours");
        project.patience = std::time::Duration::from_millis(300);
        let provider = super::cloud::open(&ground, project);
        cloud.every(1, Trouble::Said(200, body.to_owned()));
        let error = provider.list().await.unwrap_err();
        assert_eq!(error.fault, Fault::Network, "{body}");
        assert!(provider.get(&node("n-1")).await.is_err(), "{body}");
        assert!(provider.delete(&node("n-1")).await.is_err(), "{body}");
        assert!(provider.create(&order("n-1")).await.is_err(), "{body}");
        assert_eq!(cloud.n_requests("POST"), 0, "nothing is made that may be there");
    }
    // One that follows itself is not asked for again and again.
    let cloud = Cloud::begin(None);
    let body = r#"{"servers": [], "meta": {"pagination": {"next_page": 1}}}"#;
    cloud.every(1, Trouble::Said(200, body.to_owned()));
    assert!(cloud.open(&ground, "ours").list().await.is_err());
    assert_eq!(cloud.n_requests(""), 1);
    // One page that has fewer than it says.
    let cloud = Cloud::begin(None);
    let body =
        r#"{"servers": [], "meta": {"pagination": {"next_page": null, "total_entries": 7}}}"#;
    cloud.every(1, Trouble::Said(200, body.to_owned()));
    let provider = cloud.open(&ground, "ours");
    assert!(!provider.list().await.unwrap().complete);
    assert!(provider.get(&node("n-1")).await.is_err());
}
