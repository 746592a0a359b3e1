//! States, effects and deadlines of the fleet, as a store holds them.

use serde::Serialize;
use serde::de::DeserializeOwned;
use sexton::codec::{self, CodecError};
use sexton::sweep::Sweeper;
use sexton::{Actor, ActorId, ActorRef, Deadlines, EffectId, Kinds, Owed, Row, Status, Timestamp};
use sexton_fleet::sim_cloud::{CloudError, SimCloud};
use sexton_fleet::{
    Agent, AgentIdentity, Container, CreditAccount, Node, Owner, Reaper, Sandbox, Session,
    TaskRunner, Town, Worker, Workspace, sweeps,
};
use sexton_store::MemoryStore;

use crate::input::{Input, says_why};

/// What can be done with the bytes of a kind, without its type.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    /// Its name.
    pub name: &'static str,
    /// The version of its states.
    pub version: u16,
    /// Reads bytes as a state of this version.
    pub state: fn(u16, &[u8]) -> bool,
}

/// Every kind of the fleet, in the order of the first byte.
pub const KINDS: &[Kind] = &[
    kind::<Owner>(),
    kind::<Node>(),
    kind::<Workspace>(),
    kind::<Session>(),
    kind::<TaskRunner>(),
    kind::<Reaper>(),
    kind::<Town>(),
    kind::<Container>(),
    kind::<Agent>(),
    kind::<AgentIdentity>(),
    kind::<Sandbox>(),
    kind::<CreditAccount>(),
    kind::<Worker>(),
    kind::<Sweeper>(),
];

const fn kind<A: Actor>() -> Kind {
    Kind { name: A::KIND, version: A::STATE_VERSION, state: state::<A> }
}

/// Reads the bytes as a state, an effect or a deadline of some kind.
pub fn states(bytes: &[u8]) -> bool {
    let mut input = Input::new(bytes);
    let kind = input.pick(KINDS);
    let kinds = sweeps::kinds();
    match input.byte() % 4 {
        0 => described(&kinds, kind, kind.version, input.rest()),
        1 => {
            let version = u16::from(input.byte());
            described(&kinds, kind, version, input.rest())
        }
        2 => effect(&kinds, kind, input.rest()),
        _ => match kinds.name_deadline(kind.name, input.rest()) {
            Ok(name) => !name.is_empty(),
            Err(error) => refused(&error),
        },
    }
}

fn refused(error: &CodecError) -> bool {
    says_why(error);
    // The fleet has no state that JSON has no words for.
    assert!(matches!(error, CodecError::Mismatch { .. }), "{error}");
    false
}

fn described(kinds: &Kinds, kind: Kind, version: u16, bytes: &[u8]) -> bool {
    let is_read = (kind.state)(version, bytes);
    match kinds.describe(kind.name, version, bytes) {
        Ok(_) => assert!(is_read),
        Err(error) => assert!(!is_read && !refused(&error), "{error}"),
    }
    is_read
}

/// As an engine loads it: what is read can be written, and can be looked at.
fn state<A: Actor>(version: u16, bytes: &[u8]) -> bool {
    let read = |version, bytes: &[u8]| {
        if version == A::STATE_VERSION {
            codec::decode::<A>(bytes)
        } else {
            A::migrate(version, bytes)
        }
    };
    let Ok(state) = read(version, bytes) else { return false };
    look(&state);
    let once = written(&state);
    let again = read(A::STATE_VERSION, &once).expect("what was written can be read");
    assert_eq!(written(&again), once);
    true
}

fn written<T: Serialize>(value: &T) -> Vec<u8> {
    codec::encode(value).expect("what was read can be written")
}

/// What the engine asks of every state that it loads.
fn look<A: Actor>(state: &A) {
    let status = state.status();
    assert!(A::Status::ALL.contains(&status), "{status:?} is not in its own table");
    let row: Row = state.row();
    again(&row);
    let mut due = Deadlines::new();
    state.deadlines(&mut due);
    for (at, what) in due.iter() {
        assert_eq!(at, Timestamp::from_millis(at.as_millis()), "{what:?} is at no moment");
        drop(written(what));
    }
}

fn again<T: Serialize + DeserializeOwned + PartialEq>(value: &T) {
    let read = codec::decode::<T>(&written(value));
    assert!(read.is_ok_and(|read| read == *value), "what was written reads back as another");
}

/// A performer is handed the bytes of an effect, and refuses those that are none.
fn effect(kinds: &Kinds, kind: Kind, bytes: &[u8]) -> bool {
    let is_effect = kinds.describe_effect(kind.name, bytes).map(drop);
    let id = ActorId::new(kind.name, "x").expect("a good name");
    let actor = ActorRef { id, incarnation: 1 };
    let owed = Owed {
        id: EffectId { actor, number: 1 },
        effect: bytes.to_vec(),
        failures: 0,
        recorded_at: Timestamp::ZERO,
    };
    let mut cloud = SimCloud::open(None, 7).expect("in memory");
    let now = Timestamp::from_millis(1_000);
    match cloud.perform(now, &owed, &MemoryStore::new()) {
        Ok(_) => {}
        Err(CloudError::Codec(error)) => {
            says_why(&error);
            assert!(is_effect.is_err(), "an effect that can be read was refused: {error}");
        }
        Err(error) => assert!(is_effect.is_ok(), "{error}"),
    }
    is_effect.is_ok_and(|()| true)
}
