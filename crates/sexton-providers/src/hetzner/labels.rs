//! How a server says whose it is: its name and its labels.
//!
//! ```text
//! name                  n-1-<life>                     unique in a project: the lock of a creation
//! sexton-installation   as it is, or x-<digest>        whose
//! sexton-life           digest of installation + life  the token of a creation
//! sexton-owner-0, ...   the life, in hexadecimal       read back, whatever the node is called
//! sexton-node           n-1                            for people; nothing reads it
//! ```
//!
//! A label's value has at most 63 characters of `a-z A-Z 0-9 . _ -` and begins and ends with one
//! of the first three; names of nodes may be longer and may have anything in them.

use sexton::{ActorId, ActorRef};

use super::wire::{Labels, Server};
use crate::agents::digest;

/// The most characters of a label's value, and of a server's name. Specified by the API, and by
/// RFC 1123 for one part of a host's name.
const CHARS_MAX: usize = 63;
/// How many bytes of an owner stand in one label: two characters each.
const OWNER_BYTES: usize = 30;
/// How much of a node's name stands in a server's name: the digest needs 33 of the 63.
const READABLE_CHARS_MAX: usize = 30;

const INSTALLATION: &str = "sexton-installation";
const LIFE: &str = "sexton-life";
const OWNER: &str = "sexton-owner-";
const NODE: &str = "sexton-node";

/// The labels of an installation's servers.
#[derive(Clone, Debug)]
pub(super) struct Marks {
    installation: String,
    /// The same as a label's value.
    value: String,
}

fn is_value(text: &str) -> bool {
    let is_end = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = text.as_bytes();
    bytes.len() <= CHARS_MAX
        && is_end(bytes.first())
        && is_end(bytes.last())
        && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(byte))
}

/// A text as a label's value: itself where it can be, else a digest of it.
fn value(text: &str) -> String {
    // What begins as a digest could be one.
    if is_value(text) && !text.starts_with("x-") {
        text.to_owned()
    } else {
        format!("x-{}", digest(text))
    }
}

impl Marks {
    pub(super) fn new(installation: &str) -> Self {
        Self { installation: installation.to_owned(), value: value(installation) }
    }

    pub(super) fn installation(&self) -> &str {
        &self.installation
    }

    fn life(&self, owner: &ActorRef) -> String {
        digest(&format!("{}\n{owner}", self.installation))
    }

    /// The name of a life's server. No other life's is called so.
    pub(super) fn name(&self, owner: &ActorRef) -> String {
        let is_plain = |c: &char| c.is_ascii_alphanumeric();
        let mut readable = String::new();
        for c in owner.id.name().chars().take(READABLE_CHARS_MAX) {
            readable.push(if is_plain(&c) { c.to_ascii_lowercase() } else { '-' });
        }
        let readable = readable.trim_matches('-');
        let readable = if readable.is_empty() { "node" } else { readable };
        format!("{readable}-{}", self.life(owner))
    }

    /// The labels of a life's server.
    pub(super) fn labels(&self, owner: &ActorRef) -> Labels {
        let mut labels = Labels::new();
        labels.insert(INSTALLATION.to_owned(), self.value.clone());
        labels.insert(LIFE.to_owned(), self.life(owner));
        labels.insert(NODE.to_owned(), value(owner.id.name()));
        for (index, bytes) in owner.to_string().as_bytes().chunks(OWNER_BYTES).enumerate() {
            let text = bytes.iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
            labels.insert(format!("{OWNER}{index}"), text);
        }
        labels
    }

    /// Selects the installation's servers.
    pub(super) fn all(&self) -> String {
        format!("{INSTALLATION}=={}", self.value)
    }

    /// Selects a life's servers: one, if nobody made more by hand.
    pub(super) fn one(&self, owner: &ActorRef) -> String {
        format!("{},{LIFE}=={}", self.all(), self.life(owner))
    }

    /// Whether a server is the installation's. What was selected is looked at again: what is not
    /// ours is not touched, whatever the API answered.
    pub(super) fn is_ours(&self, server: &Server) -> bool {
        server.labels.get(INSTALLATION) == Some(&self.value)
    }

    /// Whether a server is this life's.
    pub(super) fn is_of(&self, server: &Server, owner: &ActorRef) -> bool {
        self.owner(server).as_ref() == Some(owner)
    }

    /// The life of one of the installation's servers. `None` if its labels were changed: they
    /// name nobody, or not the one that it was made for.
    pub(super) fn owner(&self, server: &Server) -> Option<ActorRef> {
        let mut bytes = Vec::new();
        let parts = (0..).map_while(|index: u32| server.labels.get(&format!("{OWNER}{index}")));
        for part in parts {
            for pair in part.as_bytes().chunks(2) {
                bytes.push(u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?);
            }
        }
        let text = String::from_utf8(bytes).ok()?;
        let (id, incarnation) = text.rsplit_once('#')?;
        let id = ActorId::parse(id).ok()?;
        let owner = ActorRef { id, incarnation: incarnation.parse().ok()? };
        let is_kept = self.is_ours(server) && server.labels.get(LIFE) == Some(&self.life(&owner));
        is_kept.then_some(owner)
    }
}

#[cfg(test)]
mod tests {
    use sexton::Timestamp;

    use super::super::wire::PublicNet;
    use super::*;

    fn server(labels: Labels) -> Server {
        Server {
            id: 1,
            name: "any".to_owned(),
            status: "running".to_owned(),
            created: Timestamp::ZERO,
            public_net: PublicNet::default(),
            private_net: Vec::new(),
            labels,
        }
    }

    fn life(name: &str, incarnation: u32) -> ActorRef {
        ActorRef { id: ActorId::new("node", name).unwrap(), incarnation }
    }

    // Seen to fail when a value is taken as it is, when an owner is not cut into parts, and when
    // a server's name has all of a node's.
    #[test]
    fn whatever_a_node_is_called_its_labels_are_valid_and_name_it() {
        let longest = "n".repeat(200);
        let names = ["n-1", "-", "../../etc", "\u{e9}\u{1f600}", "x-1", "A B", longest.as_str()];
        for installation in ["ours", "another installation", "x-ours", longest.as_str()] {
            let marks = Marks::new(installation);
            for name in names {
                for incarnation in [1, u32::MAX] {
                    let owner = life(name, incarnation);
                    let labels = marks.labels(&owner);
                    assert!(labels.values().all(|it| is_value(it)), "{labels:?}");
                    assert_eq!(marks.owner(&server(labels)), Some(owner.clone()));
                    let name = marks.name(&owner);
                    let is_host =
                        |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
                    assert!(name.len() <= CHARS_MAX && name.chars().all(is_host), "{name}");
                    assert!(!name.starts_with('-') && !name.ends_with('-'), "{name}");
                }
            }
        }
    }

    // Seen to fail when a life's digest is its name's, and when a digest is taken as it is.
    #[test]
    fn lives_and_installations_have_names_of_their_own() {
        let (ours, theirs) = (Marks::new("ours"), Marks::new("theirs"));
        let of = |marks: &Marks, name: &str, n| marks.name(&life(name, n));
        let mut names = vec![of(&ours, "a", 1), of(&ours, "a", 2), of(&ours, "A", 1)];
        names.extend([of(&ours, "a.", 1), of(&theirs, "a", 1), of(&ours, &"a".repeat(99), 1)]);
        let n_names = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), n_names);
        // One that is called like the digest of another.
        let digested = Marks::new("another installation").value;
        assert!(digested.starts_with("x-"), "{digested}");
        assert_ne!(Marks::new(&digested).value, digested);
    }

    // Seen to fail when the digest of a life is not held against the life.
    #[test]
    fn labels_that_were_changed_name_nobody() {
        let marks = Marks::new("ours");
        let labels = marks.labels(&life("a", 1));
        for (key, value) in [
            (INSTALLATION, "theirs"),
            (LIFE, "00"),
            ("sexton-owner-0", "6e6f64652f6223"),
            ("sexton-owner-0", "zz"),
            ("sexton-owner-0", "6e6f64652f622331"),
            ("sexton-owner-1", "31"),
        ] {
            let mut changed = labels.clone();
            changed.insert(key.to_owned(), value.to_owned());
            assert_eq!(marks.owner(&server(changed)), None, "{key}={value}");
        }
        assert_eq!(marks.owner(&server(Labels::new())), None);
    }
}
