//! A control plane to copy: actors behind a JSON API, over machines that are real processes.
//!
//! ```text
//! curl --- owner's token ---> api --- commands ---> actors --- effects ---> machines, agents
//!                              ^                      ^                         |
//!                              +--- views -- store ---+------- callbacks -------+
//! ```
//!
//! `docs/control-plane.md` walks through it. Started with `agent` as its first word this program
//! is an agent, so that one build is enough; see `sexton_agent::cli`.

#[path = "control_plane/api.rs"]
mod api;
#[path = "control_plane/containers.rs"]
mod containers;
#[path = "control_plane/directory.rs"]
mod directory;
#[path = "control_plane/events.rs"]
mod events;
#[path = "control_plane/hello.rs"]
mod hello;
#[path = "control_plane/names.rs"]
mod names;
#[path = "control_plane/options.rs"]
mod options;
#[path = "control_plane/plane.rs"]
mod plane;
#[path = "control_plane/tokens.rs"]
mod tokens;
#[path = "control_plane/views.rs"]
mod views;

use std::error::Error;
use std::io::{Write, stderr, stdout};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use actix_web::rt::signal::unix::{SignalKind, signal};
use actix_web::web::Data;
use actix_web::{App, HttpServer};
use clap::Parser;
use sexton_providers::receiver;
use tracing_subscriber::EnvFilter;

use self::directory::Directory;
use self::options::Options;
use self::plane::Plane;

/// How long calls may go on when the program ends, in seconds. Chosen: longer than most take.
const DRAIN_S: u64 = 10;
/// How long a client may take for the head of a request. Chosen: heads are small.
const READING: Duration = Duration::from_secs(5);
/// The most connections. Chosen: owners, and the agents of a few hundred machines.
const CONNECTIONS_MAX: usize = 1_024;

/// What made the program end.
enum End {
    /// Somebody asked for it.
    Asked,
    /// Nothing can be made durable any more: whoever starts it again has it read its store.
    Broken(Box<dyn Error>),
}

/// Serves until something makes the program end.
async fn serve(options: Options) -> Result<(), Box<dyn Error>> {
    let directory = Directory::open(&options.dir)?;
    let listen = directory.address(options.listen)?;
    // Taken before anything is done: of two that are started the second one fails here, or at
    // the store.
    let listener = std::net::TcpListener::bind(listen)
        .map_err(|error| format!("failed to listen on {listen}: {error}"))?;
    let address = listener.local_addr()?;
    let plane = Plane::open(&options, &directory, address).await?;
    // Only now it is certain that nobody else has this directory.
    directory.keep_address(address)?;
    let operator = directory.write_operator(&plane.platform)?;
    let paths = receiver(Arc::clone(&plane.host), plane.platform.keyring());
    let shared = Data::from(Arc::clone(&plane));
    let app = move || App::new().app_data(shared.clone()).configure(&paths).configure(api::paths);
    let server = HttpServer::new(app)
        .workers(2)
        .max_connections(CONNECTIONS_MAX)
        .client_request_timeout(READING)
        .shutdown_timeout(DRAIN_S)
        .disable_signals()
        .listen(listener)?
        .run();
    let handle = server.handle();
    let serving = actix_web::rt::spawn(server);
    let tending = actix_web::rt::spawn(Arc::clone(&plane).tend());
    say(&hello::lines(address, &operator, &directory));

    let (mut term, mut interrupt) =
        (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let end = tokio::select! {
        _ = term.recv() => End::Asked,
        _ = interrupt.recv() => End::Asked,
        error = plane.broken() => End::Broken(error.into()),
    };
    // No new calls; those that are under way are answered. Then nothing is left to be said, and
    // the store is closed in order. Machines go on: the next start adopts them.
    tending.abort();
    handle.stop(matches!(end, End::Asked)).await;
    serving.await??;
    match end {
        End::Asked => plane.host.close().await?,
        End::Broken(error) => return Err(error),
    }
    say("closed; the machines go on, and the next start finds them");
    Ok(())
}

/// Says something to whoever listens; that nobody does is no reason to end.
fn say(text: &str) {
    drop(writeln!(stdout(), "{text}"));
}

fn main() -> ExitCode {
    let mut words = std::env::args_os();
    if words.nth(1).is_some_and(|word| word == options::AGENT) {
        return sexton_agent::cli::run(std::env::args_os().skip(1));
    }
    let options = Options::parse();
    // What an operator has to know; `RUST_LOG=sexton=info` says what begins and ends.
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(stderr).init();
    match actix_web::rt::System::new().block_on(serve(options)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Where the disk is full nobody may be able to hear it.
            drop(writeln!(stderr(), "control_plane: {}", sexton::chain(error.as_ref())));
            ExitCode::FAILURE
        }
    }
}
