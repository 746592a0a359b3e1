//! What is left over when everything was ended: it should be nothing.

use std::fmt;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use sexton_providers::Platform;

use crate::load::Load;
use crate::world::{World, directories};

/// How long a port that listens may take to say whose it is.
const ASK: Duration = Duration::from_secs(5);

/// What is left over.
#[derive(Debug, Default)]
pub(crate) struct Left {
    things: Vec<String>,
}

impl Left {
    pub(crate) fn add(&mut self, what: String) {
        self.things.push(what);
    }

    pub(crate) fn check(&mut self, is_so: bool, otherwise: &str) {
        if !is_so {
            self.add(otherwise.to_owned());
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.things.is_empty()
    }

    /// Looks for processes, directories and ports.
    pub(crate) fn look(&mut self, world: &World, load: &Load) {
        for (what, found) in [("agent", world.agents()), ("workspace", world.workspaces())] {
            match found {
                Ok(found) => {
                    for process in found {
                        self.add(format!("process {} of an {what}", process.pid));
                    }
                }
                Err(error) => self.add(format!("the processes could not be listed: {error}")),
            }
        }
        let containers = world.directory().join("containers/workspaces");
        for path in world.machines().into_iter().chain(directories(&containers)) {
            self.add(format!("directory {}", path.display()));
        }
        let ports = world.ports.borrow().clone();
        self.check(!ports.is_empty() || load.tasks().is_empty(), "no agent was ever seen");
        let keys = world.directory().join("keys");
        match Platform::open(&keys, "sexton") {
            Ok(platform) => {
                for port in ports.into_iter().filter(|port| is_ours(*port, &platform)) {
                    self.add(format!("port {port}: an agent of ours listens there"));
                }
            }
            Err(error) => self.add(format!("the keys could not be read: {error}")),
        }
    }
}

/// Whether an agent listens there that knows our key: to others a token of ours is none. A
/// port that was given to somebody else is nothing that we left.
fn is_ours(port: SocketAddr, platform: &Platform) -> bool {
    let Ok(token) = platform.for_agent(("nobody", 1), None) else { return true };
    let ask = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect_timeout(&port, ASK)?;
        stream.set_read_timeout(Some(ASK))?;
        let head = "GET /workspaces HTTP/1.1\r\nHost: agent\r\nConnection: close\r\n";
        write!(stream, "{head}Authorization: Bearer {token}\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    };
    // For another node, by a key that it knows: 403. By a key that it does not: 401.
    ask().is_ok_and(|answer| answer.starts_with("HTTP/1.1 403"))
}

impl fmt::Display for Left {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "left over: {}", self.things.len())?;
        self.things.iter().try_for_each(|thing| write!(f, "\n  {thing}"))
    }
}
