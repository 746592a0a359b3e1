//! Behaviour through the front door: what cannot be read costs itself and nobody else.
//!
//! Method: the real engine in virtual time, on a store that hands out one record damaged until it
//! is mended. Broken once by not looking at it again.

use std::sync::Arc;

use sexton::{ActorId, Engine, Entry, Limits, Part, Store, Timestamp, key, query};
use sexton_sim::Doubtful;
use sexton_tests::{Cloud, Do, TestWorld, kinds, machine, pass, told};

fn open(store: &Arc<Doubtful>) -> TestWorld {
    let store: Arc<dyn Store> = Arc::<Doubtful>::clone(store);
    TestWorld::open(store, kinds(), Limits::default(), Cloud::default()).expect("it goes on")
}

fn tell(world: &mut TestWorld, name: &str, message: Do) {
    world.request(&machine(name), told(message)).expect("it goes on");
    world.settle().expect("it goes on");
    world.flush().expect("it goes on");
}

/// Two machines that run, and nothing in memory.
fn two() -> (TestWorld, Arc<Doubtful>) {
    let store = Arc::new(Doubtful::new());
    let mut world = open(&store);
    for name in ["a", "b"] {
        sexton_tests::create(&mut world, name).expect("it goes on");
    }
    (world, store)
}

fn count(store: &Doubtful, name: &str) -> u64 {
    let state: Option<sexton_tests::Machine> =
        query::state(store, &machine(name)).expect("it goes on");
    state.expect("it goes on").count
}

fn set_aside(world: &mut TestWorld) -> Vec<ActorId> {
    world.engine().unreadable().map(|it| it.id).collect()
}

#[test]
fn an_actor_that_cannot_be_read_holds_up_nobody_and_goes_on_when_it_can_be_read() {
    let (mut world, store) = two();
    tell(&mut world, "a", Do::Remind(60));
    tell(&mut world, "b", Do::Remind(60));
    drop(world);
    store.veil(key::actor(&machine("a")));
    let mut world = open(&store);
    tell(&mut world, "b", Do::Tell("a".to_owned()));
    tell(&mut world, "b", Do::Pass("a".to_owned(), 40));
    tell(&mut world, "b", Do::Tell("a".to_owned()));
    pass(&mut world, 61);
    // The other's alarm rang at its time, and this one's record is as it was.
    assert_eq!(count(&store, "b"), 1);
    assert_eq!(set_aside(&mut world), [machine("a")]);
    let told = world.engine().take_unreadable();
    assert!(told[0].why.contains("damaged"), "{told:?}");
    assert_eq!(world.engine().figures().unreadable, 1);
    // It is looked at again after a while: its mail is taken in order, its alarm rings.
    store.unveil();
    pass(&mut world, 600);
    assert_eq!((count(&store, "a"), set_aside(&mut world)), (42, Vec::new()));
    assert_eq!(world.engine().figures().unreadable, 0);
    sexton_tests::assert_audit(store.as_ref());
}

#[test]
fn a_debt_that_cannot_be_read_is_paid_when_it_can_be_read() {
    let (mut world, store) = two();
    drop(world);
    let fences = store.claim().unwrap();
    let part = (Part::WHOLE, fences.as_slice());
    let mut engine = Engine::recover(kinds(), Limits::default(), store.as_ref(), part).unwrap();
    let now = Timestamp::from_millis(5_000);
    for name in ["a", "b"] {
        let turned = engine.request(now, store.as_ref(), &machine(name), told(Do::Owe(1)));
        store.submit(turned.unwrap().batch.unwrap()).unwrap();
    }
    store.flush().unwrap();
    store.veil(key::debts(&machine("a")));
    world = open(&store);
    pass(&mut world, 60);
    assert_eq!(set_aside(&mut world), [machine("a")]);
    let owing = |name: &str| query::debts(store.sound(), &machine(name)).unwrap().len();
    assert_eq!((owing("a"), owing("b")), (1, 0));
    store.unveil();
    pass(&mut world, 600);
    assert_eq!((owing("a"), set_aside(&mut world)), (0, Vec::new()));
    sexton_tests::assert_audit(store.as_ref());
}

#[test]
fn a_mail_that_cannot_be_read_waits_alone_and_keeps_nobody_from_going() {
    let (mut world, store) = two();
    store.veil(key::inbox(&machine("a")));
    tell(&mut world, "b", Do::Pass("a".to_owned(), 40));
    store.unveil();
    tell(&mut world, "b", Do::Tell("a".to_owned()));
    assert_eq!((count(&store, "a"), set_aside(&mut world)), (1, vec![machine("a")]));
    // A later process that can read it takes it.
    drop(world);
    let mut world = open(&store);
    world.settle().unwrap();
    world.flush().unwrap();
    assert_eq!(count(&store, "a"), 40);
    store.veil(key::inbox(&machine("a")));
    tell(&mut world, "b", Do::Tell("a".to_owned()));
    let inbox = key::inbox(&machine("a"));
    let mail = store.sound().scan(&inbox, &key::end_of(&inbox), 9).unwrap();
    assert_eq!(mail.len(), 1);
    store.veil(mail[0].0.clone());
    sexton_tests::destroy(&mut world, "a").unwrap();
    let entry = query::entry(store.as_ref(), &machine("a")).unwrap();
    assert!(matches!(entry, Some(Entry::Tombstone(_))));
    assert!(store.sound().get(&mail[0].0).unwrap().is_some(), "it is not lost");
}
