//! A desk: where commands lie until the task that serves them takes them, and somebody waits for
//! what is said of each.

use std::fmt;

use sexton_core::{Error, ErrorKind};
use tokio::sync::{mpsc, oneshot};

use crate::mailbox::closed;

/// Where to say what came of a command.
pub(crate) type Reply<T> = oneshot::Sender<Result<T, Error>>;

/// Lays a command down and waits for what is said of it. Keeps G14: the limit is an error of its
/// own, and says what of it waits.
pub(crate) async fn ask<C, T>(
    desk: &mpsc::Sender<C>,
    what: impl fmt::Display,
    command: impl FnOnce(Reply<T>) -> C,
) -> Result<T, Error> {
    let (reply, answer) = oneshot::channel();
    desk.try_send(command(reply)).map_err(|error| match error {
        mpsc::error::TrySendError::Full(_) => {
            Error::new(ErrorKind::Busy, format!("{} {what} wait", desk.max_capacity()))
        }
        mpsc::error::TrySendError::Closed(_) => closed(),
    })?;
    told(answer, desk.closed()).await
}

/// What is said, or that nobody says it any more.
///
/// A command that is laid down at the very moment at which the desk closes is neither taken nor
/// dropped while the desk is there, so whoever waits has to look at the desk as well.
pub(crate) async fn told<T>(
    mut answer: oneshot::Receiver<Result<T, Error>>,
    is_closed: impl Future<Output = ()>,
) -> Result<T, Error> {
    let result = tokio::select! {
        result = &mut answer => result.ok(),
        // Whoever closed it may have said it just before.
        () = is_closed => answer.try_recv().ok(),
    };
    result.unwrap_or_else(|| Err(closed()))
}
