//! The cloud on its own: what it said is true after a kill, wherever the kill was.

use sexton_store::MemoryStore;

use crate::node::{NodeAnswer, NodeEffect};

use super::*;

fn create(name: &str) -> Owed {
    let (installation, size, location) = ("i".to_owned(), "cx32".to_owned(), "fsn1".to_owned());
    owed(name, 1, &NodeEffect::Create { installation, size, location })
}

fn owed(name: &str, number: u64, effect: &NodeEffect) -> Owed {
    let actor = ActorRef { id: ActorId::new("node", name).expect("a name"), incarnation: 1 };
    let effect = codec::encode(effect).expect("small");
    Owed { id: EffectId { actor, number }, effect, failures: 0, recorded_at: Timestamp::ZERO }
}

fn at(ms: i64) -> Timestamp {
    Timestamp::from_millis(ms)
}

#[test]
fn a_kill_anywhere_in_the_file_leaves_a_cloud_that_answers_the_same() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("cloud");
    let store = MemoryStore::new();
    let mut cloud = SimCloud::open(Some(&path), 5).unwrap();
    let first = cloud.perform(at(0), &create("a"), &store).unwrap();
    let whole = std::fs::read(&path).unwrap();
    cloud.perform(at(9), &create("b"), &store).unwrap();
    let longer = std::fs::read(&path).unwrap();
    drop(cloud);
    for length in whole.len()..=longer.len() {
        std::fs::write(&path, &longer[..length]).unwrap();
        let mut again = SimCloud::open(Some(&path), 5).unwrap();
        assert_eq!(again.perform(at(777), &create("a"), &store).unwrap(), first);
        let n_machines = if length == longer.len() { 2 } else { 1 };
        assert_eq!(again.machines(at(777)).count(), n_machines);
    }
    let mut bent = longer.clone();
    bent[12] ^= 1;
    std::fs::write(&path, &bent).unwrap();
    assert!(matches!(SimCloud::open(Some(&path), 5), Err(CloudError::Damaged { at: 0, .. })));
    // No kill leaves a last frame as long as it says and damaged.
    let mut bent = longer;
    *bent.last_mut().unwrap() ^= 1;
    std::fs::write(&path, &bent).unwrap();
    assert!(matches!(SimCloud::open(Some(&path), 5), Err(CloudError::Damaged { .. })));
}

#[test]
fn another_seed_is_refused_and_gives_other_latencies() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("cloud");
    drop(SimCloud::open(Some(&path), 5).unwrap());
    // With the beginning of a frame behind it, which would be cut off.
    let file = [std::fs::read(&path).unwrap(), vec![9, 0]].concat();
    std::fs::write(&path, &file).unwrap();
    let error = SimCloud::open(Some(&path), 6).unwrap_err();
    assert!(matches!(error, CloudError::Seed { file: 5, asked: 6 }));
    assert_eq!(std::fs::read(&path).unwrap(), file, "a file that was refused is as it was");
    let store = MemoryStore::new();
    let answer = |seed| {
        let mut cloud = SimCloud::open(None, seed).unwrap();
        cloud.perform(at(0), &create("a"), &store).unwrap()
    };
    assert_eq!(answer(5), answer(5));
    assert_ne!(answer(5), answer(6));
}

#[test]
fn a_machine_is_billed_from_its_creation_to_its_deletion() {
    let store = MemoryStore::new();
    let mut cloud = SimCloud::open(None, 5).unwrap();
    let created = cloud.perform(at(0), &create("a"), &store).unwrap();
    let Performed::At(from, Answer::Done(_)) = created else { panic!("{created:?}") };
    let delete = owed("a", 2, &NodeEffect::Delete { machine: None });
    let deleted = cloud.perform(at(500_000), &delete, &store).unwrap();
    let Performed::At(to, Answer::Done(bytes)) = deleted else { panic!("{deleted:?}") };
    assert_eq!(codec::decode::<NodeAnswer>(&bytes).unwrap(), NodeAnswer::Deleted);
    let life_ms = u64::try_from(to.since(from).as_millis()).unwrap();
    let paid = |cloud: &SimCloud, now| -> Vec<u64> {
        cloud.billed(now).into_values().map(|bill| bill.paid_ms).collect()
    };
    let billed = paid(&cloud, at(900_000));
    assert_eq!(billed, [life_ms]);
    assert_eq!(
        cloud.perform(at(900_000), &delete, &store).unwrap(),
        Performed::At(to, done(&NodeAnswer::Deleted).unwrap())
    );
    assert_eq!(paid(&cloud, at(5_000_000)), billed);
}

#[test]
fn a_callback_is_repeated_after_a_restart_until_it_is_acknowledged() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("cloud");
    let store = MemoryStore::new();
    let mut cloud = SimCloud::open(Some(&path), 5).unwrap();
    cloud.perform(at(0), &create("a"), &store).unwrap();
    let due = cloud.next_due().unwrap();
    let first = cloud.callbacks_due(due);
    assert_eq!(first.len(), 1);
    assert!(cloud.callbacks_due(due).is_empty());
    let mut again = SimCloud::open(Some(&path), 5).unwrap();
    assert_eq!(again.callbacks_due(due), first);
    again.acknowledge(first[0].number).unwrap();
    let mut last = SimCloud::open(Some(&path), 5).unwrap();
    assert!(last.callbacks_due(due).is_empty());
}
