//! What the agent says by itself, to a control plane that listens, and does not, and does again.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use actix_web::dev::ServerHandle;
use actix_web::web::{self, Data};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer};
use reqwest::Method;
use serde_json::{Value, json};
use sexton_agent::{VERSION, files};

use super::support::{Agent, NODE, Place, n_running, until};

/// A path, a token and a body, each time that the agent called.
type Heard = Arc<Mutex<Vec<(String, String, Value)>>>;

/// A control plane that refuses the first call.
struct Plane {
    heard: Heard,
    address: std::net::SocketAddr,
    server: ServerHandle,
    thread: Option<JoinHandle<()>>,
}

async fn hear(heard: Data<Heard>, request: HttpRequest, body: web::Json<Value>) -> HttpResponse {
    let token = request
        .headers()
        .get("authorization")
        .expect("it can")
        .to_str()
        .expect("it can")
        .to_owned();
    let mut heard = heard.lock().expect("it can");
    heard.push((request.path().to_owned(), token, body.into_inner()));
    if heard.len() == 1 {
        HttpResponse::ServiceUnavailable().finish()
    } else {
        HttpResponse::NoContent().finish()
    }
}

impl Plane {
    #[expect(clippy::disallowed_methods, reason = "a server of the test's own")]
    fn start() -> Self {
        let heard = Heard::default();
        let (send, receive) = std::sync::mpsc::channel();
        let told = Arc::clone(&heard);
        let thread = std::thread::spawn(move || {
            actix_web::rt::System::new().block_on(async move {
                let app = move || {
                    let heard = Data::new(Arc::clone(&told));
                    App::new().app_data(heard).default_service(web::post().to(hear))
                };
                let server = HttpServer::new(app).workers(1).disable_signals();
                let server = server.bind("127.0.0.1:0").expect("it can");
                let address = server.addrs()[0];
                let server = server.run();
                send.send((address, server.handle())).expect("it can");
                server.await.expect("it can");
            });
        });
        let (address, server) = receive.recv().expect("it can");
        Self { heard, address, server, thread: Some(thread) }
    }

    fn heard(&self) -> Vec<(String, String, Value)> {
        self.heard.lock().expect("it can").clone()
    }
}

impl Drop for Plane {
    fn drop(&mut self) {
        // Begins at once; the thread is what ends.
        drop(self.server.stop(false));
        drop(self.thread.take().map(JoinHandle::join));
    }
}

#[tokio::test]
async fn ready_is_said_until_it_is_heard_and_then_that_it_lives() {
    let place = Place::new();
    let plane = Plane::start();
    let token = place.directory.path().join("token");
    files::write(&token, b"first\n").unwrap();
    let mut command = place.command();
    command.args(["--callbacks", &format!("http://{}/callbacks/", plane.address)]);
    command.args(["--heartbeat", "20ms"]).arg("--callback-token").arg(&token);
    let _agent = place.agent_of(&mut command).await;
    until("it was heard four times", async || plane.heard().len() > 3).await;
    let report = json!({ "epoch": NODE.1, "version": VERSION });
    let said = |what: &str, token: &str| {
        (format!("/callbacks/nodes/n-1/{what}"), format!("Bearer {token}"), report.clone())
    };
    assert_eq!(
        plane.heard()[..3],
        [said("ready", "first"), said("ready", "first"), said("heartbeat", "first")]
    );
    files::write(&token, b"second").unwrap();
    let last = said("heartbeat", "second");
    until("the new token is used", async || plane.heard().last() == Some(&last)).await;
    let log = place.log();
    assert!(log.contains("a callback was not taken") && !log.contains("first"), "{log}");
}

#[tokio::test]
async fn how_busy_the_machine_is_is_said_by_an_agent_that_shall_measure_it() {
    let place = Place::new();
    let plane = Plane::start();
    let token = place.directory.path().join("token");
    files::write(&token, b"first").unwrap();
    let mut command = place.command();
    command.args(["--callbacks", &format!("http://{}/callbacks", plane.address)]);
    command.args(["--measure", "load"]);
    command.args(["--heartbeat", "50ms"]).arg("--callback-token").arg(&token);
    let _agent = place.agent_of(&mut command).await;
    let loads = || plane.heard().into_iter().map(|(_, _, body)| body["load"].clone());
    until("it says how busy it is", async || loads().any(|load| load.is_object())).await;
    for load in loads().filter(Value::is_object) {
        let percent = |of: &str| load[of].as_u64().is_some_and(|percent| percent <= 100);
        assert!(percent("cpu") && percent("memory"), "{load}");
    }
}

/// The ends of runs that were heard: how often each, by whom it was for.
fn ends(plane: &Plane) -> BTreeMap<String, Vec<Value>> {
    let mut ends = BTreeMap::<String, Vec<Value>>::new();
    for (path, _, body) in plane.heard() {
        if path == "/callbacks/nodes/n-1/ended" {
            assert_eq!(body["epoch"], NODE.1);
            assert_eq!(body["about"]["epoch"], 7);
            let name = body["about"]["name"].as_str().expect("it has a name").to_owned();
            ends.entry(name).or_default().push(body["end"].clone());
        }
    }
    ends
}

/// A run that ended by itself was told to nobody: its task went on for hours.
#[tokio::test]
async fn the_end_of_a_run_is_told_until_it_is_heard_also_by_the_next_agent() {
    let place = Place::new();
    let plane = Plane::start();
    let token = place.directory.path().join("token");
    files::write(&token, b"first").unwrap();
    let start = async || {
        let mut command = place.command();
        command.args(["--callbacks", &format!("http://{}/callbacks", plane.address)]);
        command.args(["--heartbeat", "10m"]).arg("--callback-token").arg(&token);
        place.agent_of(&mut command).await
    };
    let mut agent = start().await;
    agent.put(&place, "w", "exec sleep 600").await;
    let begin = async |agent: &Agent, name: &str, script: &str| {
        let path = format!("/workspaces/w/sessions/{name}");
        let about = json!({ "name": name, "epoch": 7 });
        let run = json!({ "command": ["sh", "-c", script], "about": about });
        let token = place.token(Some("w"));
        let (status, view) = agent.call((Method::PUT, &path), Some(&token), Some(run)).await;
        assert_eq!(status, 200, "{view}");
    };
    begin(&agent, "well", "exit 0").await;
    begin(&agent, "badly", "exit 3").await;
    begin(&agent, "killed", "kill -9 $$").await;
    begin(&agent, "goes-on", "exec sleep 600").await;
    begin(&agent, "unseen", "while [ ! -e go ]; do sleep 0.01; done").await;
    until("three ends were heard", async || ends(&plane).len() == 3).await;
    agent.kill();
    files::write(&place.files("w").join("go"), b"").unwrap();
    until("it is over", async || n_running(&place.root().join("workspaces")) == 2).await;
    let agent = start().await;
    until("the fourth was heard", async || ends(&plane).len() == 4).await;
    // Another pass, which would say again what it should not.
    begin(&agent, "last", "exit 0").await;
    until("the last was heard", async || ends(&plane).len() == 5).await;
    let mut heard = ends(&plane);
    // The very first call of all is refused, and is made again.
    heard.values_mut().for_each(Vec::dedup);
    let expected = [
        ("badly", json!({ "exited": 3 })),
        ("killed", json!({ "signalled": 9 })),
        ("last", json!({ "exited": 0 })),
        ("unseen", json!("unseen")),
        ("well", json!({ "exited": 0 })),
    ];
    assert_eq!(heard, expected.map(|(name, end)| (name.to_owned(), vec![end])).into());
}
