//! The stand-in as a server: the token, the troubles that a test scripts, and the sockets.

use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::thread::JoinHandle;
use std::time::Duration;

use actix_web::body::{BodySize, MessageBody};
use actix_web::dev::ServerHandle;
use actix_web::http::StatusCode;
use actix_web::web::{self, Bytes, Data, Query as Queried};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer};
use sexton_providers::hetzner::{Hetzner, Project, Token};

use super::super::support::Ground;
use super::machines::Machines;
use super::world::{Answer, Query, World, error};

/// The token of the project.
pub(crate) const TOKEN: &str = "c1oud-t0ken-jEheVytlAoFl7F8MqUQ7jAo2hOXASztX";

/// What happens to a request.
#[derive(Clone)]
pub(crate) enum Trouble {
    /// It is not done, and answered so: a status, headers, a body.
    Refused(u16, Vec<(&'static str, String)>, String),
    /// It is done, and answered with another status and body.
    Said(u16, String),
    /// It is done, and the connection ends without an answer.
    Lost,
    /// It is done, and the connection ends in the middle of the answer.
    Cut,
    /// It is done, and half of the answer arrives as if it were all.
    Half,
    /// It is done, and never answered.
    Never,
    /// Something else happens first; then it is done.
    Meanwhile(fn(&mut World)),
}

impl Trouble {
    /// Refused with a code of the API's.
    pub(crate) fn code(status: u16, code: &str) -> Self {
        Self::Refused(status, Vec::new(), error(status, code).1.to_string())
    }

    /// Refused as too many, with such headers.
    pub(crate) fn too_many(headers: &[(&'static str, &str)]) -> Self {
        let headers = headers.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        Self::Refused(429, headers, error(429, "rate_limit_exceeded").1.to_string())
    }
}

#[derive(Default)]
struct Script {
    /// The next request that has all of these in it suffers this.
    once: Vec<(&'static [&'static str], Trouble)>,
    /// Every so many-th request suffers this.
    every: Option<(usize, Trouble)>,
    n_requests: usize,
}

struct State {
    world: Mutex<World>,
    script: Mutex<Script>,
}

/// The end of a connection that a test may cut.
struct Socket(TcpStream);

/// The stand-in.
pub(crate) struct Cloud {
    state: Arc<State>,
    port: u16,
    server: ServerHandle,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Cloud {
    fn drop(&mut self) {
        drop(self.server.stop(false));
        drop(self.thread.take().map(JoinHandle::join));
    }
}

impl Cloud {
    /// A project without servers; machines boot below a directory, if one is given.
    #[expect(clippy::disallowed_methods, reason = "a server of the test's own")]
    pub(crate) fn begin(root: Option<PathBuf>) -> Self {
        let world = World::new(Machines::default());
        let state = Arc::new(State { world: Mutex::new(world), script: Mutex::default() });
        let (send, receive) = std::sync::mpsc::channel();
        let shared = Arc::clone(&state);
        let thread = std::thread::spawn(move || {
            actix_web::rt::System::new().block_on(async move {
                let app = move || {
                    let state = Data::from(Arc::clone(&shared));
                    App::new().app_data(state).default_service(web::to(hear))
                };
                let server = HttpServer::new(app).workers(1).disable_signals();
                let server = server.on_connect(|connection, extensions| {
                    let stream = connection.downcast_ref::<actix_web::rt::net::TcpStream>();
                    let socket = stream.expect("it is TCP").as_fd().try_clone_to_owned();
                    extensions.insert(Socket(socket.expect("it is open").into()));
                });
                let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
                let server = server.bind(address).expect("there is a port");
                let port = server.addrs()[0].port();
                let server = server.run();
                send.send((port, server.handle())).expect("it is waited for");
                server.await.expect("it serves");
            });
        });
        let (port, server) = receive.recv().expect("it begins");
        let cloud = Self { state, port, server, thread: Some(thread) };
        cloud.world().machines = Machines::new(root, port);
        cloud
    }

    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        self.state.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many servers there are, whoever made them.
    pub(crate) fn n_servers(&self) -> usize {
        self.world().servers.len()
    }

    /// How many requests there were that begin so.
    pub(crate) fn n_requests(&self, beginning: &str) -> usize {
        self.world().requests.iter().filter(|it| it.starts_with(beginning)).count()
    }

    fn script(&self) -> MutexGuard<'_, Script> {
        self.state.script.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next request with all of these in its line suffers this; once.
    pub(crate) fn once(&self, parts: &'static [&'static str], trouble: Trouble) {
        self.script().once.push((parts, trouble));
    }

    /// Every so many-th request suffers this.
    pub(crate) fn every(&self, nth: usize, trouble: Trouble) {
        self.script().every = Some((nth, trouble));
    }

    /// Nothing happens any more that was scripted.
    pub(crate) fn calm(&self) {
        *self.script() = Script::default();
    }

    /// Whether all that was scripted once has happened.
    pub(crate) fn is_spent(&self) -> bool {
        self.script().once.is_empty()
    }

    pub(crate) fn project(&self, ground: &Ground, installation: &str) -> Project {
        Project {
            endpoint: format!("http://127.0.0.1:{}/v1", self.port),
            agent: vec![env!("CARGO_BIN_EXE_sexton-local-agent").to_owned()],
            agent_port: self.port,
            heartbeat: Duration::from_millis(50),
            pause: Duration::from_millis(2),
            ..Project::new(installation, "image-1", &ground.callbacks())
        }
    }

    pub(crate) fn open(&self, ground: &Ground, installation: &str) -> Hetzner {
        open(ground, self.project(ground, installation))
    }
}

pub(crate) fn open(ground: &Ground, project: Project) -> Hetzner {
    let token = Token::new(TOKEN).expect("it is a word");
    Hetzner::open(project, token, Arc::clone(&ground.platform)).expect("it opens")
}

/// A body that ends before it is whole.
struct Short(Option<Bytes>, u64);

impl MessageBody for Short {
    type Error = std::io::Error;

    fn size(&self) -> BodySize {
        BodySize::Sized(self.1)
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Poll::Ready(Some(self.0.take().ok_or_else(|| std::io::Error::other("cut off"))))
    }
}

impl State {
    fn trouble(&self, line: &str) -> Option<Trouble> {
        let mut script = self.script.lock().unwrap_or_else(PoisonError::into_inner);
        script.n_requests += 1;
        let is_meant = |parts: &[&str]| parts.iter().all(|part| line.contains(part));
        if let Some(at) = script.once.iter().position(|(parts, _)| is_meant(parts)) {
            return Some(script.once.remove(at).1);
        }
        let (nth, trouble) = script.every.clone()?;
        script.n_requests.is_multiple_of(nth).then_some(trouble)
    }
}

async fn hear(state: Data<State>, request: HttpRequest, body: Bytes) -> HttpResponse {
    let query =
        Queried::<Query>::from_query(request.query_string()).expect("it is one").into_inner();
    let path = request.path().strip_prefix("/v1").expect("the endpoint has it").to_owned();
    let method = request.method().as_str().to_owned();
    let words: Vec<String> = query.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let line = format!("{method} {path}?{}", words.join("&"));
    let trouble = state.trouble(&line);
    let is_allowed = request
        .headers()
        .get("authorization")
        .is_some_and(|header| header.as_bytes() == format!("Bearer {TOKEN}").as_bytes());
    let answer = || -> Answer {
        let mut world = state.world.lock().unwrap_or_else(PoisonError::into_inner);
        world.requests.push(line.clone());
        world.last_order = serde_json::from_slice(&body).ok().or(world.last_order.take());
        if let Some(Trouble::Meanwhile(change)) = &trouble {
            change(&mut world);
        }
        match &trouble {
            Some(Trouble::Refused(status, _, _)) => (*status, serde_json::Value::Null),
            _ if !is_allowed => error(401, "unauthorized"),
            _ => world.answer(&method, &path, &query, &body),
        }
    };
    let (status, answer) = answer();
    let text = answer.to_string();
    let respond = |status: u16| {
        let status = StatusCode::from_u16(status).expect("it is a status");
        let mut response = HttpResponse::build(status);
        response.content_type("application/json");
        response
    };
    let half = text.len() / 2;
    match trouble {
        None | Some(Trouble::Meanwhile(_)) => respond(status).body(text),
        Some(Trouble::Refused(status, headers, body)) => {
            let mut response = respond(status);
            for header in headers {
                response.insert_header(header);
            }
            response.body(body)
        }
        Some(Trouble::Said(status, body)) => respond(status).body(body),
        Some(Trouble::Lost) => {
            let socket = request.conn_data::<Socket>().expect("every connection has one");
            socket.0.shutdown(Shutdown::Both).expect("it is open");
            respond(status).finish()
        }
        Some(Trouble::Cut) => {
            let size = u64::try_from(text.len()).expect("it is not so long");
            respond(status).body(Short(Some(Bytes::from(text[..half].to_owned())), size))
        }
        Some(Trouble::Half) => respond(status).body(text[..half].to_owned()),
        // Until the caller goes away.
        Some(Trouble::Never) => std::future::pending().await,
    }
}
