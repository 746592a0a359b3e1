//! The log of events: numbered in one order, durable before it is read, never begun again.

use std::sync::Arc;

use sexton_core::log::{self, Bounds};
use sexton_core::{ActorId, Cursor, ErrorKind, Event, Store, Timestamp, What, codec};

use super::{Owner, Subject, put};

/// An event of an actor that is named for its shard, sealed.
pub(super) fn event(shard: u16, number: u64) -> Vec<u8> {
    let event = Event {
        actor: ActorId::new("shard", &shard.to_string()).expect("a good name"),
        incarnation: 1,
        number,
        at: Timestamp::ZERO,
        what: What::Fact { name: "n".to_owned(), text: number.to_string() },
    };
    codec::seal(&event).expect("an event can be sealed")
}

/// The cursors and numbers of what is read behind a cursor.
fn read(store: &Arc<dyn Store>, after: u64, limit: usize) -> Vec<(u64, u64)> {
    let events = log::read(store, Cursor(after), limit).expect("the log can be read");
    events.into_iter().map(|(cursor, event)| (cursor.0, event.number)).collect()
}

fn refusal(store: &Arc<dyn Store>, after: u64) -> String {
    let error = log::read(store, Cursor(after), 1).expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::Refused);
    error.to_string()
}

fn bounds(begin: u64, durable: u64, end: u64) -> Bounds {
    Bounds { begin: Cursor(begin), durable: Cursor(durable), end: Cursor(end) }
}

pub(super) fn numbered(subject: &dyn Subject) {
    let store = subject.open();
    let mut owner = Owner::claim(&store);
    assert_eq!(store.log().expect("readable"), bounds(0, 0, 0));
    assert!(read(&store, 0, 9).is_empty());
    owner.publish(9, vec![put("k", "1")], vec![event(9, 1), event(9, 2)]);
    owner.publish(1, Vec::new(), vec![event(1, 3)]);
    owner.submit(9, vec![put("k", "2")]);
    assert_eq!(store.log().expect("readable"), bounds(0, 0, 3));
    assert!(read(&store, 0, 9).is_empty(), "nothing is told before it is durable");
    store.flush().expect("flushes");
    owner.publish(9, Vec::new(), vec![event(9, 4)]);
    assert_eq!(store.log().expect("readable"), bounds(0, 3, 4));
    assert_eq!(read(&store, 0, 9), [(1, 1), (2, 2), (3, 3)]);
    assert_eq!(read(&store, 1, 1), [(2, 2)], "also between two events of one batch");
    assert!(read(&store, 3, 9).is_empty() && read(&store, 4, 9).is_empty());
    assert!(refusal(&store, 5).contains("ends with cursor 4"));
    assert!(read(&store, 0, 0).is_empty());
}

pub(super) fn goes_on(subject: &dyn Subject) {
    for round in 0..4_u64 {
        let store = subject.open();
        let mut owner = Owner::claim(&store);
        let reached = round * 3;
        assert_eq!(store.log().expect("readable"), bounds(0, reached, reached), "round {round}");
        for number in reached + 1..=reached + 3 {
            owner.publish(3, Vec::new(), vec![event(3, number)]);
        }
        if round % 2 == 0 {
            store.flush().expect("flushes");
        } else {
            store.close().expect("closes");
        }
        let expected: Vec<_> = (1..=reached + 3).map(|number| (number, number)).collect();
        assert_eq!(read(&store, 0, 99), expected);
        owner.publish(3, Vec::new(), vec![event(3, 1_000)]);
    }
}

pub(super) fn trimmed(subject: &dyn Subject) {
    let store = subject.open();
    let mut owner = Owner::claim(&store);
    owner.publish(1, Vec::new(), (1..=9).map(|number| event(1, number)).collect());
    store.flush().expect("flushes");
    owner.publish(1, Vec::new(), vec![event(1, 10)]);
    store.trim_log(Cursor(4)).expect("trims");
    assert_eq!(store.log().expect("readable"), bounds(4, 10, 10), "and all is durable");
    assert!(refusal(&store, 3).contains("the log begins behind cursor 4 now, and event 4 was"));
    assert_eq!(read(&store, 4, 2), [(5, 5), (6, 6)]);
    store.trim_log(Cursor(2)).expect("that is trimmed already");
    let error = store.trim_log(Cursor(11)).expect_err("nothing is there");
    assert_eq!(error.kind(), ErrorKind::Refused);
    drop(owner);
    drop(store);
    let store = subject.open();
    assert_eq!(store.log().expect("readable"), bounds(4, 10, 10));
    store.trim_log(Cursor(10)).expect("trims");
    store.close().expect("closes");
    drop(store);
    let store = subject.open();
    let mut owner = Owner::claim(&store);
    assert_eq!(store.log().expect("readable"), bounds(10, 10, 10));
    owner.publish(1, Vec::new(), vec![event(1, 11)]);
    store.flush().expect("flushes");
    assert_eq!(read(&store, 10, 9), [(11, 11)], "it goes on behind what was trimmed");
    assert!(refusal(&store, 9).contains("cursor 10"));
}

pub(super) fn trimmed_whole(subject: &dyn Subject) {
    let store = subject.open();
    let mut owner = Owner::claim(&store);
    for batch in 0..40 {
        let numbers = batch * 1_000 + 1..=(batch + 1) * 1_000;
        owner.publish(1, Vec::new(), numbers.map(|number| event(1, number)).collect());
    }
    store.trim_log(Cursor(39_999)).expect("trims");
    assert_eq!(read(&store, 39_999, 9), [(40_000, 40_000)]);
    assert_eq!(super::all_of(&store).len(), 1);
    drop(owner);
    drop(store);
    let store = subject.open();
    assert_eq!(store.log().expect("readable"), bounds(39_999, 40_000, 40_000));
    assert_eq!(super::all_of(&store).len(), 1);
}

/// Checks that the events of each of so many shards are in the log in their order.
pub(super) fn check_orders(store: &Arc<dyn Store>, n_shards: u16, per_shard: u64) {
    let events = log::read(store, Cursor::BEGINNING, usize::MAX).expect("the log can be read");
    for shard in 0..n_shards {
        let of_it = events.iter().filter(|(_, event)| event.actor.name() == shard.to_string());
        assert!(of_it.map(|(_, event)| event.number).eq(0..per_shard), "shard {shard}");
    }
    assert_eq!(events.len(), usize::from(n_shards) * usize::try_from(per_shard).expect("small"));
}
