//! Keys and names: of records, actors, cursors, plans and steps.

use sexton::index::Cursor;
use sexton::key::{self, Key, Parsed};
use sexton::{ActorId, PlanId};
use sexton_sim::Step;

use crate::input::says_why;

/// Reads the bytes as every kind of key and name.
pub fn keys(bytes: &[u8]) -> bool {
    let mut is_any = false;
    if let Some(parsed) = key::parse(bytes) {
        is_any = true;
        assert_eq!(key::parse(&written(&parsed)), Some(parsed));
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        is_any |= id(text) | cursor(text) | plan(text) | steps(text);
    }
    is_any
}

/// The key under which a record of this meaning lies.
fn written(parsed: &Parsed) -> Key {
    match parsed {
        Parsed::Actor(id) => key::actor(id),
        Parsed::Child(parent, child) => key::child(parent, child),
        Parsed::Debt(id, number) => key::debt(id, *number),
        Parsed::Event(number) => key::event(*number),
        Parsed::Inbox(id, order) => key::mail(id, *order),
        Parsed::Alarm(id, due) => key::alarm(id, *due),
        Parsed::Row(id, status) => key::row(id, status),
    }
}

fn id(text: &str) -> bool {
    match ActorId::parse(text) {
        Ok(id) => {
            assert_eq!(id.as_str(), text);
            assert_eq!(ActorId::new(id.kind(), id.name()).as_ref(), Ok(&id));
            assert_eq!(key::parse(&key::actor(&id)), Some(Parsed::Actor(id.clone())));
            assert!(key::actor(&id) < key::end_of(&key::prefix(id.shard(), key::Table::Actor)));
            true
        }
        Err(error) => {
            says_why(&error);
            false
        }
    }
}

fn cursor(text: &str) -> bool {
    match text.parse::<Cursor>() {
        Ok(cursor) => {
            assert_eq!(cursor.to_string().parse().as_ref(), Ok(&cursor));
            true
        }
        Err(error) => {
            says_why(&error);
            false
        }
    }
}

fn plan(text: &str) -> bool {
    match text.parse::<PlanId>() {
        Ok(plan) => {
            assert_eq!(plan.to_string(), text.to_ascii_lowercase());
            true
        }
        Err(error) => {
            says_why(&error);
            false
        }
    }
}

fn steps(text: &str) -> bool {
    let mut is_any = false;
    for line in text.lines() {
        match line.parse::<Step>() {
            Ok(step) => {
                assert_eq!(step.to_string().parse().as_ref(), Ok(&step));
                is_any = true;
            }
            Err(error) => says_why(&error),
        }
    }
    is_any
}
