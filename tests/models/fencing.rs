//! Who may write a shard: claims, commits, statements that arrive late, and owners that die.
//!
//! A commit carries all that its owner wrote on what it had read, so one that lands on anything
//! else takes back what is there. A statement may lie on its way for as long as it likes, get
//! lost, or be executed when its client has long given up (a ghost). What the store answers is
//! *committed*, *fenced*, or nothing at all: then the outcome is unknown.
//!
//! | here | in the runtime |
//! |---|---|
//! | `Shard::epoch`, `Shard::chain` | `Fence::epoch`, `Fence::sequence` (its length), the records |
//! | `Claim` | `Store::claim`: raises the epoch, durable when it returns, tells where it stands |
//! | `Load` | `Engine::recover`, and the first read of each actor |
//! | `Submit` | `Store::submit` of the `Batch` of a turn: epoch, expected sequence, all its writes |
//! | `Deliver` | `Fences::check` and `Fences::advance` of `sexton-store` |
//! | `Wait`ing becomes `Unsure` | `ErrorKind::Unconfirmed` |
//! | `Crash`, then `Claim` and `Load` | what a host does after that: it opens the store again |
//! | `Repeat` | what the contract allows beyond that: read the sequence, then the same batch again |
//!
//! Owners are told apart by their epochs only, so they are kept sorted: which of two equal ones
//! acts makes no difference. That an answer gets lost is no step of its own: to give up and then
//! to be executed leaves the same behind.

use crate::checking::{Story, Walk, breach, walk};

/// A commit, by its number among all that were asked for.
type Id = u8;

/// How a story is told: how large it is, and what is wrong with it.
#[derive(Clone, Copy, Debug)]
struct Fencing {
    owners: usize,
    epochs_max: u8,
    commits_max: Id,
    on_the_way_max: usize,
    fault: Fault,
}

/// What is switched off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    None,
    /// The store takes whatever comes.
    NoFence,
    /// The store looks at the epoch, and not at the sequence.
    EpochOnly,
    /// The store looks at the sequence, and not at the epoch.
    SequenceOnly,
    /// What is unknown is sent again for whatever sequence the shard has by now.
    RepeatsBlindly,
    /// What is unknown is dropped, and something else sent for the sequence that it was sent for.
    Forgets,
    /// An owner reads the records before it claims the shard.
    LoadsBeforeClaim,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct State {
    epoch: u8,
    /// Every commit that was executed: nobody reads it but promises.
    log: Vec<Executed>,
    /// The records: the commits that they contain.
    records: Vec<Id>,
    /// How many commits were executed.
    sequence: u8,
    owners: Vec<Owner>,
    on_the_way: Vec<Statement>,
    /// Which commits were acknowledged, in order.
    acknowledged: Vec<Id>,
    asked: Id,
}

/// A commit that was executed: whose, and who owned the shard at that moment.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Executed {
    id: Id,
    by: u8,
    epoch: u8,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Owner {
    Down,
    /// Has read, and claims only now; with [`Fault::LoadsBeforeClaim`].
    Early(Vec<Id>),
    Claimed {
        epoch: u8,
        sequence: u8,
    },
    Ready {
        epoch: u8,
        sequence: u8,
        records: Vec<Id>,
    },
    Waiting(Statement),
    Unsure(Statement),
}

/// `commit(shard, owner, epoch, expected sequence, batch)`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Statement {
    epoch: u8,
    expected: u8,
    /// The records as they are to be, with the commit itself at the end.
    records: Vec<Id>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Action {
    Claim(usize),
    Load(usize),
    Submit(usize),
    Deliver(usize),
    Lose(usize),
    GiveUp(usize),
    Repeat(usize),
    Forget(usize),
    Crash(usize),
}

const NO_LOST_UPDATE: &str = "an acknowledged commit stays";
const ONE_CHAIN: &str = "each commit follows on the one before";
const ONCE: &str = "a commit is executed once";
const REPLACED: &str = "who was replaced commits nothing";

impl Fencing {
    const fn new(fault: Fault) -> Self {
        Self { owners: 3, epochs_max: 3, commits_max: 3, on_the_way_max: 3, fault }
    }

    /// What the store does with a statement; whether it was committed.
    fn execute(&self, state: &mut State, statement: &Statement) -> bool {
        let is_owner = statement.epoch == state.epoch;
        let is_next = statement.expected == state.sequence;
        let is_taken = match self.fault {
            Fault::None | Fault::RepeatsBlindly | Fault::Forgets | Fault::LoadsBeforeClaim => {
                is_owner && is_next
            }
            Fault::NoFence => true,
            Fault::EpochOnly => is_owner,
            Fault::SequenceOnly => is_next,
        };
        if is_taken {
            let (id, by) = (statement.id(), statement.epoch);
            state.log.push(Executed { id, by, epoch: state.epoch });
            state.records.clone_from(&statement.records);
            state.sequence += 1;
        }
        is_taken
    }

    /// An owner that does not know looks at where the shard stands, and goes on from there.
    ///
    /// To look and to send are two steps in the world; what lies between is the statement's way.
    fn look_again(&self, state: &mut State, statement: Statement, is_repeat: bool) -> Owner {
        if statement.epoch != state.epoch && self.fault != Fault::NoFence {
            return Owner::Down;
        }
        let (epoch, sequence) = (statement.epoch, state.sequence);
        if self.fault == Fault::RepeatsBlindly && is_repeat {
            let mut records = state.records.clone();
            records.push(statement.id());
            let again = Statement { epoch, expected: sequence, records };
            state.on_the_way.push(again.clone());
            return Owner::Waiting(again);
        }
        if sequence > statement.expected {
            // In this epoch nobody else commits, and nothing else was sent for this sequence.
            state.acknowledged.push(statement.id());
            return Owner::Ready { epoch, sequence, records: state.records.clone() };
        }
        if is_repeat {
            state.on_the_way.push(statement.clone());
            return Owner::Waiting(statement);
        }
        Owner::Ready { epoch, sequence, records: state.records.clone() }
    }
}

impl Statement {
    fn id(&self) -> Id {
        self.records.last().copied().unwrap_or(0)
    }
}

impl Story for Fencing {
    type State = State;
    type Action = Action;
    const PROMISES: &'static [&'static str] = &[NO_LOST_UPDATE, ONE_CHAIN, ONCE, REPLACED];

    fn sights(&self) -> &'static [&'static str] {
        &[
            "a statement of an earlier owner is on its way",
            "a ghost was executed",
            "two owners believe that they own it",
            "all commits of three epochs are there",
        ]
    }

    fn start(&self) -> State {
        State {
            epoch: 0,
            log: Vec::new(),
            records: Vec::new(),
            sequence: 0,
            owners: vec![Owner::Down; self.owners],
            on_the_way: Vec::new(),
            acknowledged: Vec::new(),
            asked: 0,
        }
    }

    fn actions(&self, state: &State) -> Vec<Action> {
        let mut actions = Vec::new();
        let has_room = state.on_the_way.len() < self.on_the_way_max;
        let may_claim = state.epoch < self.epochs_max;
        for (at, owner) in state.owners.iter().enumerate() {
            match owner {
                Owner::Down if self.fault == Fault::LoadsBeforeClaim => {
                    actions.push(Action::Load(at));
                }
                Owner::Down | Owner::Early(_) if may_claim => actions.push(Action::Claim(at)),
                Owner::Claimed { .. } => actions.push(Action::Load(at)),
                Owner::Ready { .. } if has_room && state.asked < self.commits_max => {
                    actions.push(Action::Submit(at));
                }
                Owner::Down | Owner::Early(_) | Owner::Ready { .. } => {}
                Owner::Waiting(_) => actions.push(Action::GiveUp(at)),
                Owner::Unsure(_) if self.fault == Fault::Forgets => {
                    actions.push(Action::Forget(at));
                }
                Owner::Unsure(_) => actions.extend(has_room.then_some(Action::Repeat(at))),
            }
            if *owner != Owner::Down {
                actions.push(Action::Crash(at));
            }
        }
        for at in 0..state.on_the_way.len() {
            actions.extend([Action::Deliver(at), Action::Lose(at)]);
        }
        actions
    }

    fn next(&self, state: &State, action: &Action) -> Option<State> {
        let mut next = state.clone();
        match *action {
            Action::Claim(at) => {
                next.epoch += 1;
                let (epoch, sequence) = (next.epoch, next.sequence);
                next.owners[at] = if let Owner::Early(records) = &state.owners[at] {
                    Owner::Ready { epoch, sequence, records: records.clone() }
                } else {
                    Owner::Claimed { epoch, sequence }
                };
            }
            Action::Load(at) => {
                let records = state.records.clone();
                let owner = &state.owners[at];
                next.owners[at] = if let Owner::Claimed { epoch, sequence } = *owner {
                    Owner::Ready { epoch, sequence, records }
                } else {
                    Owner::Early(records)
                };
            }
            Action::Submit(at) => {
                let Owner::Ready { epoch, sequence, records } = &state.owners[at] else {
                    return None;
                };
                next.asked += 1;
                let mut records = records.clone();
                records.push(next.asked);
                let statement = Statement { epoch: *epoch, expected: *sequence, records };
                next.on_the_way.push(statement.clone());
                next.owners[at] = Owner::Waiting(statement);
            }
            Action::Deliver(at) => {
                let statement = next.on_the_way.remove(at);
                let is_committed = self.execute(&mut next, &statement);
                let (epoch, sequence) = (statement.epoch, next.sequence);
                let waits = Owner::Waiting(statement.clone());
                if let Some(owner) = next.owners.iter_mut().find(|owner| **owner == waits) {
                    *owner = if is_committed {
                        next.acknowledged.push(statement.id());
                        Owner::Ready { epoch, sequence, records: statement.records }
                    } else {
                        Owner::Down
                    };
                }
            }
            Action::Lose(at) => {
                next.on_the_way.remove(at);
            }
            Action::GiveUp(at) => {
                let Owner::Waiting(statement) = &state.owners[at] else { return None };
                next.owners[at] = Owner::Unsure(statement.clone());
            }
            Action::Repeat(at) | Action::Forget(at) => {
                let Owner::Unsure(statement) = state.owners[at].clone() else { return None };
                let is_repeat = matches!(action, Action::Repeat(_));
                next.owners[at] = self.look_again(&mut next, statement, is_repeat);
            }
            Action::Crash(at) => next.owners[at] = Owner::Down,
        }
        next.owners.sort();
        next.on_the_way.sort();
        next.acknowledged.sort_unstable();
        next.acknowledged.dedup();
        Some(next)
    }

    fn say(&self, state: &State, action: &Action) -> String {
        let epoch = |at: usize| match &state.owners[at] {
            Owner::Down | Owner::Early(_) => "a new owner".to_owned(),
            Owner::Claimed { epoch, .. } | Owner::Ready { epoch, .. } => format!("owner {epoch}"),
            Owner::Waiting(it) | Owner::Unsure(it) => format!("owner {}", it.epoch),
        };
        let statement = |at: usize| {
            let it = &state.on_the_way[at];
            format!("commit {} of owner {}", it.id(), it.epoch)
        };
        match *action {
            Action::Claim(at) => format!("{} claims epoch {}", epoch(at), state.epoch + 1),
            Action::Load(at) => format!("{} loads", epoch(at)),
            Action::Submit(at) => format!("{} submits commit {}", epoch(at), state.asked + 1),
            Action::Deliver(at) => format!("{} arrives", statement(at)),
            Action::Lose(at) => format!("{} is lost", statement(at)),
            Action::GiveUp(at) => format!("{} gives up", epoch(at)),
            Action::Repeat(at) => format!("{} looks and repeats", epoch(at)),
            Action::Forget(at) => format!("{} looks and forgets", epoch(at)),
            Action::Crash(at) => format!("{} dies", epoch(at)),
        }
    }

    fn keeps(&self, promise: &str, state: &State) -> bool {
        match promise {
            NO_LOST_UPDATE => state.acknowledged.iter().all(|id| state.records.contains(id)),
            ONE_CHAIN => state.log.iter().map(|it| it.id).eq(state.records.iter().copied()),
            ONCE => {
                let is_new = |at: usize| state.log[..at].iter().all(|it| it.id != state.log[at].id);
                (0..state.log.len()).all(is_new)
            }
            REPLACED => state.log.iter().all(|it| it.by == it.epoch),
            _ => panic!("no promise is called {promise}"),
        }
    }

    fn shows(&self, sight: &str, state: &State) -> bool {
        let believes = |owner: &&Owner| matches!(owner, Owner::Ready { .. } | Owner::Waiting(_));
        let is_waited_for =
            |id: Id| state.owners.iter().any(|it| matches!(it, Owner::Waiting(s) if s.id() == id));
        match sight {
            "a statement of an earlier owner is on its way" => {
                state.on_the_way.iter().any(|statement| statement.epoch < state.epoch)
            }
            "a ghost was executed" => state
                .log
                .iter()
                .any(|it| !state.acknowledged.contains(&it.id) && !is_waited_for(it.id)),
            "two owners believe that they own it" => {
                state.owners.iter().filter(believes).count() >= 2
            }
            "all commits of three epochs are there" => {
                state.log.iter().map(|it| it.by).eq([1, 2, 3])
            }
            _ => panic!("nothing is called {sight}"),
        }
    }
}

/// G3, and the half of G2 that a store with several owners has to keep.
mod owners {
    use super::*;

    #[test]
    fn no_commit_is_lost_or_made_twice_whoever_claims_dies_or_comes_late() {
        let found = walk(Fencing::new(Fault::None));
        assert_eq!(found, Walk { states: 63_474, steps: 436_971, depth: 21, stuck: 0 });
    }

    /// What each half of the fence is for.
    mod controls {
        use super::*;

        fn shortest(fault: Fault, promise: &'static str) -> Vec<String> {
            breach(Fencing::new(fault), promise)
        }

        #[test]
        fn without_a_fence_who_was_replaced_takes_back_what_was_said() {
            let trace = shortest(Fault::NoFence, NO_LOST_UPDATE);
            assert_eq!(
                trace,
                [
                    "a new owner claims epoch 1",
                    "a new owner claims epoch 2",
                    "owner 1 loads",
                    "owner 2 loads",
                    "owner 1 submits commit 1",
                    "owner 2 submits commit 2",
                    "commit 1 of owner 1 arrives",
                    "commit 2 of owner 2 arrives"
                ]
            );
        }

        #[test]
        fn a_fence_of_epochs_alone_lets_a_ghost_take_back_what_was_said() {
            let trace = shortest(Fault::EpochOnly, NO_LOST_UPDATE);
            assert_eq!(
                trace,
                [
                    "a new owner claims epoch 1",
                    "owner 1 loads",
                    "owner 1 submits commit 1",
                    "owner 1 gives up",
                    "owner 1 looks and repeats",
                    "commit 1 of owner 1 arrives",
                    "owner 1 submits commit 2",
                    "commit 2 of owner 1 arrives",
                    "commit 1 of owner 1 arrives"
                ]
            );
        }

        #[test]
        fn a_fence_of_sequences_alone_lets_who_was_replaced_write_on() {
            let trace = shortest(Fault::SequenceOnly, REPLACED);
            assert_eq!(
                trace,
                [
                    "a new owner claims epoch 1",
                    "a new owner claims epoch 2",
                    "owner 1 loads",
                    "owner 1 submits commit 1",
                    "commit 1 of owner 1 arrives"
                ]
            );
        }

        #[test]
        fn what_is_unknown_and_sent_again_without_looking_is_done_twice() {
            let trace = shortest(Fault::RepeatsBlindly, ONCE);
            assert_eq!(
                trace,
                [
                    "a new owner claims epoch 1",
                    "owner 1 loads",
                    "owner 1 submits commit 1",
                    "owner 1 gives up",
                    "commit 1 of owner 1 arrives",
                    "owner 1 looks and repeats",
                    "commit 1 of owner 1 arrives"
                ]
            );
        }

        #[test]
        fn what_is_unknown_and_dropped_is_taken_for_what_comes_next() {
            let trace = shortest(Fault::Forgets, NO_LOST_UPDATE);
            assert_eq!(
                trace,
                [
                    "a new owner claims epoch 1",
                    "owner 1 loads",
                    "owner 1 submits commit 1",
                    "owner 1 gives up",
                    "owner 1 looks and forgets",
                    "owner 1 submits commit 2",
                    "owner 1 gives up",
                    "commit 1 of owner 1 arrives",
                    "owner 1 looks and forgets"
                ]
            );
        }

        #[test]
        fn who_reads_before_it_claims_writes_on_what_is_gone() {
            let trace = shortest(Fault::LoadsBeforeClaim, NO_LOST_UPDATE);
            assert_eq!(
                trace,
                [
                    "a new owner loads",
                    "a new owner loads",
                    "a new owner claims epoch 1",
                    "owner 1 submits commit 1",
                    "commit 1 of owner 1 arrives",
                    "a new owner claims epoch 2",
                    "owner 2 submits commit 2",
                    "commit 2 of owner 2 arrives"
                ]
            );
        }
    }
}
