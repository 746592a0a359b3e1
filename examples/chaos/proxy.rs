//! The network: a relay for callbacks and a proxy for calls, in which single agents are cut off.
//!
//! Both look at the first line of a connection only: there stands which agent it is of, by its
//! port in a call (`PUT http://127.0.0.1:4711/..`), by its node in a callback
//! (`POST /callbacks/nodes/<node>/..`). A connection of one that is cut off is dropped, or goes on
//! without a byte until it is not cut off any more.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use sexton_agent::clock::rest;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

/// How often a connection that is cut off looks whether it still is.
const LOOK: Duration = Duration::from_millis(50);
/// The longest first line. Chosen: paths are short.
const LINE_BYTES_MAX: usize = 8 * 1_024;

/// How somebody is cut off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// Connections are closed at once.
    Drops,
    /// Connections stay, and carry nothing.
    Swallows,
}

/// Who is cut off, by port and by node.
#[derive(Clone, Debug, Default)]
pub(crate) struct Network {
    cuts: Rc<RefCell<BTreeMap<String, Cut>>>,
}

impl Network {
    /// Cuts somebody off, or does not any more.
    pub(crate) fn set(&self, whom: &str, cut: Option<Cut>) {
        let mut cuts = self.cuts.borrow_mut();
        match cut {
            Some(cut) => cuts.insert(whom.to_owned(), cut),
            None => cuts.remove(whom),
        };
    }

    fn cut(&self, whom: &str) -> Option<Cut> {
        self.cuts.borrow().get(whom).copied()
    }

    /// Relays to one address; says where.
    pub(crate) async fn relay(&self, to: SocketAddr) -> io::Result<SocketAddr> {
        self.listen(Some(to)).await
    }

    /// A proxy to wherever a call wants to go; says where.
    pub(crate) async fn forward(&self) -> io::Result<SocketAddr> {
        self.listen(None).await
    }

    async fn listen(&self, to: Option<SocketAddr>) -> io::Result<SocketAddr> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let network = self.clone();
        drop(actix_web::rt::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let network = network.clone();
                drop(actix_web::rt::spawn(async move {
                    // Whatever becomes of a connection, its ends find out by themselves.
                    drop(network.carry(stream, to).await);
                }));
            }
        }));
        Ok(address)
    }

    async fn carry(&self, mut from: TcpStream, to: Option<SocketAddr>) -> io::Result<()> {
        let mut head = Vec::new();
        while !head.contains(&b'\n') && head.len() < LINE_BYTES_MAX {
            if from.read_buf(&mut head).await? == 0 {
                return Ok(());
            }
        }
        let line = String::from_utf8_lossy(&head);
        let Some((whom, to)) = whom(&line, to) else { return Ok(()) };
        let mut onward = TcpStream::connect(to).await?;
        if !self.passes(&whom).await {
            return Ok(());
        }
        onward.write_all(&head).await?;
        let (from_read, from_write) = from.into_split();
        let (onward_read, onward_write) = onward.into_split();
        let back = self.clone();
        let whom_back = whom.clone();
        let answers = actix_web::rt::spawn(async move {
            drop(back.copy(&whom_back, onward_read, from_write).await);
        });
        drop(self.copy(&whom, from_read, onward_write).await);
        answers.await.map_err(io::Error::other)
    }

    /// Waits while somebody is cut off; `false` if his connections are closed.
    async fn passes(&self, whom: &str) -> bool {
        loop {
            match self.cut(whom) {
                None => return true,
                Some(Cut::Drops) => return false,
                Some(Cut::Swallows) => rest(LOOK).await,
            }
        }
    }

    async fn copy(
        &self,
        whom: &str,
        mut from: OwnedReadHalf,
        mut to: OwnedWriteHalf,
    ) -> io::Result<()> {
        let mut bytes = Vec::with_capacity(LINE_BYTES_MAX);
        while from.read_buf(&mut bytes).await? > 0 && self.passes(whom).await {
            to.write_all(&bytes).await?;
            bytes.clear();
        }
        Ok(())
    }
}

/// Of whom a connection is, and where it goes.
fn whom(line: &str, to: Option<SocketAddr>) -> Option<(String, SocketAddr)> {
    let path = line.split(' ').nth(1)?;
    if let Some(to) = to {
        let node = path.strip_prefix("/callbacks/nodes/")?.split('/').next()?;
        return Some((node.to_owned(), to));
    }
    let to: SocketAddr = path.strip_prefix("http://")?.split('/').next()?.parse().ok()?;
    Some((to.port().to_string(), to))
}
