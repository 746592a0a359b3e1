//! Sees runs that end by themselves, and tells the control plane until it was told.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use actix_web::web;

use crate::callbacks::Caller;
use crate::clock;
use crate::workspaces::{Over, Workspaces};

/// How often it looks. Chosen: nobody waits longer for the end of what took seconds, and a look
/// reads as many small files as there are workspaces.
const LOOK: Duration = Duration::from_millis(200);
/// The longest wait after a control plane did not take it. Chosen: it is back within a minute.
const AGAIN_MAX: Duration = Duration::from_secs(5);

/// Watches until the task is dropped. Without a caller ends are taken and told to nobody.
#[expect(clippy::infinite_loop, reason = "it ends with its task")]
pub(crate) async fn watch(workspaces: Arc<Workspaces>, caller: Option<Arc<Caller>>) -> Infallible {
    let mut wait = LOOK;
    loop {
        clock::rest(wait).await;
        let seen = Arc::clone(&workspaces);
        let over = web::block(move || seen.over()).await;
        let over = match over {
            Ok(Ok(over)) => over,
            Ok(Err(error)) => {
                tracing::warn!(target: "sexton", %error, "the runs were not seen");
                continue;
            }
            Err(error) => {
                tracing::warn!(target: "sexton", %error, "the runs were not seen");
                continue;
            }
        };
        let Some(caller) = &caller else { continue };
        wait = if tell(&workspaces, caller, over).await { LOOK } else { (wait * 2).min(AGAIN_MAX) };
    }
}

/// Whether all of it was heard.
async fn tell(workspaces: &Arc<Workspaces>, caller: &Caller, over: Vec<Over>) -> bool {
    for over in over {
        if !caller.say_ended(&over.about, over.end).await {
            return false;
        }
        tracing::info!(target: "sexton", session = over.about.name, end = ?over.end, "a run ended");
        let known = Arc::clone(workspaces);
        match web::block(move || known.told(&over)).await {
            Ok(Ok(())) => {}
            // It is said again, and is late then.
            Ok(Err(error)) => tracing::warn!(target: "sexton", %error, "it was not noted"),
            Err(error) => tracing::warn!(target: "sexton", %error, "it was not noted"),
        }
    }
    true
}
