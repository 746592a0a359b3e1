//! What the agent says by itself, to a control plane that listens, and does not, and does again.

use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use actix_web::dev::ServerHandle;
use actix_web::web::{self, Data};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer};
use serde_json::{Value, json};
use sexton_agent::{VERSION, files};

use super::support::{NODE, Place, until};

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
