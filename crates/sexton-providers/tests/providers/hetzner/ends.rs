//! Deletions: done when it is gone, and never because something else said so.

use std::time::Duration;

use sexton_fleet::Fault;
use sexton_providers::Provider;
use sexton_providers::hetzner::Project;

use super::super::support::{Ground, node};
use super::cloud::{Cloud, Trouble, open};
use super::orders::order;

// Seen to fail when a deletion's action is not waited for, and when what looks is not sent again.
#[tokio::test]
async fn a_deletion_answers_when_the_server_is_gone_whatever_is_lost_on_the_way() {
    let (ground, cloud) = (Ground::new(), Cloud::begin(None));
    let provider = cloud.open(&ground, "ours");
    for trouble in [
        Trouble::Lost,
        Trouble::Cut,
        Trouble::Said(502, String::new()),
        Trouble::code(423, "locked"),
        Trouble::code(409, "conflict"),
        Trouble::code(503, "unavailable"),
    ] {
        provider.create(&order("n-1")).await.unwrap();
        cloud.once(&["DELETE /servers"], trouble.clone());
        cloud.once(&["GET /actions"], trouble);
        provider.delete(&node("n-1")).await.unwrap();
        assert!(cloud.n_servers() == 0);
        cloud.calm();
    }
}

// Seen to fail when every 404 is "there is none": a wrong address would end every machine's
// bill in the books, and none in the cloud.
#[tokio::test]
async fn a_server_is_gone_only_by_the_apis_own_word_about_it() {
    let (ground, cloud) = (Ground::new(), Cloud::begin(None));
    let project = Project { patience: Duration::from_secs(1), ..cloud.project(&ground, "ours") };
    let (patient, provider) = (cloud.open(&ground, "ours"), open(&ground, project));
    patient.create(&order("n-1")).await.unwrap();
    let html = || "<html>not found</html>".to_owned();
    cloud.every(1, Trouble::Refused(404, Vec::new(), html()));
    assert_eq!(provider.delete(&node("n-1")).await.unwrap_err().fault, Fault::Network);
    assert!(provider.get(&node("n-1")).await.is_err(), "never instead of `there is none`");
    cloud.every(1, Trouble::code(404, "not_found"));
    assert_eq!(provider.delete(&node("n-1")).await.unwrap_err().fault, Fault::Unknown);
    assert!(provider.list().await.is_err());
    cloud.calm();
    // The action is forgotten: it is not known how it ended.
    cloud.once(&["GET /actions"], Trouble::code(404, "not_found"));
    assert_eq!(patient.delete(&node("n-1")).await.unwrap_err().fault, Fault::Unknown);
    assert!(cloud.is_spent());
    patient.create(&order("n-2")).await.unwrap();
    cloud.once(&["DELETE /servers"], Trouble::Refused(404, Vec::new(), html()));
    patient.delete(&node("n-2")).await.unwrap();
    assert!(cloud.is_spent());
    patient.delete(&node("n-1")).await.unwrap();
    assert!(cloud.n_servers() == 0);
}

#[tokio::test]
async fn a_deletion_that_fails_is_told_and_the_server_is_listed() {
    let (ground, cloud) = (Ground::new(), Cloud::begin(None));
    let provider = cloud.open(&ground, "ours");
    let made = provider.create(&order("n-1")).await.unwrap();
    cloud.world().next_failure = Some("server_error");
    assert_eq!(provider.delete(&node("n-1")).await.unwrap_err().fault, Fault::Network);
    assert_eq!(provider.list().await.unwrap().machines, [made]);
    cloud.once(&["DELETE /servers"], Trouble::code(423, "protected"));
    assert_eq!(provider.delete(&node("n-1")).await.unwrap_err().fault, Fault::Invalid);
    assert_eq!(cloud.n_servers(), 1);
    provider.delete(&node("n-1")).await.unwrap();
}

// Seen to fail when only the first server of a life is deleted.
#[tokio::test]
async fn a_copy_that_somebody_made_with_the_same_labels_goes_with_its_life() {
    let (ground, cloud) = (Ground::new(), Cloud::begin(None));
    let provider = cloud.open(&ground, "ours");
    let made = provider.create(&order("n-1")).await.unwrap();
    let labels = cloud.world().servers.values().next().unwrap().labels.clone();
    let labels: Vec<(&str, &str)> =
        labels.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    cloud.world().put("a-copy", &labels);
    assert_eq!(provider.get(&node("n-1")).await.unwrap(), Some(made), "the oldest counts");
    provider.delete(&node("n-1")).await.unwrap();
    assert!(cloud.n_servers() == 0);
}
