//! The rate limit: what the API says is waited for, if there is time, and kept by every call.

use std::time::Duration;

use sexton::clock::{Clock, Stopwatch, WallClock};
use sexton_fleet::Fault;
use sexton_providers::Provider;
use sexton_providers::hetzner::Project;

use super::super::support::{Ground, node};
use super::cloud::{Cloud, Trouble, open};
use super::orders::order;

const SECOND: Duration = Duration::from_secs(1);

// Seen to fail when the headers are not looked at: it asks again at once.
#[tokio::test]
async fn a_call_waits_as_long_as_the_api_says_and_then_goes_on() {
    let (ground, cloud) = (Ground::new(), Cloud::begin(None));
    let provider = cloud.open(&ground, "ours");
    let waiting = Stopwatch::start();
    cloud.once(&["POST /servers"], Trouble::too_many(&[("retry-after", "1")]));
    provider.create(&order("n-1")).await.unwrap();
    assert!(waiting.elapsed() >= SECOND, "{:?}", waiting.elapsed());
    assert_eq!(cloud.n_requests("POST"), 2, "nothing was made by the first");
    let reset = (WallClock.now() + SECOND * 2).as_millis() / 1_000;
    let waiting = Stopwatch::start();
    let headers = [("ratelimit-limit", "3600"), ("ratelimit-remaining", "0")];
    let headers = [headers[0], headers[1], ("ratelimit-reset", &reset.to_string())];
    cloud.once(&["GET /servers"], Trouble::too_many(&headers));
    assert!(provider.get(&node("n-1")).await.unwrap().is_some());
    assert!(waiting.elapsed() >= SECOND / 2, "{:?}", waiting.elapsed());
}

// Seen to fail when there is no hold, and when a call waits longer than it has patience.
#[tokio::test]
async fn a_wait_that_is_too_long_is_told_and_no_call_asks_before_it_is_over() {
    let (ground, cloud) = (Ground::new(), Cloud::begin(None));
    let provider = cloud.open(&ground, "ours");
    cloud.once(&["GET /servers"], Trouble::too_many(&[("retry-after", "3600")]));
    let waiting = Stopwatch::start();
    let error = provider.create(&order("n-1")).await.unwrap_err();
    assert_eq!(error.fault, Fault::RateLimit, "{error}");
    for _ in 0..3 {
        assert_eq!(provider.list().await.unwrap_err().fault, Fault::RateLimit);
        assert_eq!(provider.delete(&node("n-1")).await.unwrap_err().fault, Fault::RateLimit);
    }
    assert_eq!(cloud.n_requests(""), 1, "the others were not sent");
    assert!(waiting.elapsed() < SECOND * 30, "a minute's patience was not used up");
}

// Seen to fail when a refusal that nobody can read is no refusal for its rate.
#[tokio::test]
async fn without_a_word_about_time_a_call_pauses_until_its_patience_ends() {
    let (ground, cloud) = (Ground::new(), Cloud::begin(None));
    let project = Project { patience: SECOND, ..cloud.project(&ground, "ours") };
    let provider = open(&ground, project);
    let unreadable = Trouble::Refused(429, Vec::new(), "<html>slow down</html>".to_owned());
    cloud.every(1, unreadable);
    assert_eq!(provider.list().await.unwrap_err().fault, Fault::RateLimit);
    let n_requests = cloud.n_requests("");
    assert!((2..60).contains(&n_requests), "{n_requests}: longer each time");
    cloud.calm();
    provider.create(&order("n-1")).await.unwrap();
}
