//! How a tree of actors goes: the protocol by itself, in the fewest words that it can be told in.
//!
//! A root has two children, one of which has a child; one name is wanted by somebody else, too.
//! Everything may happen at any time: births, a second birth of the same name, messages, destroys
//! of anybody, effects that are done and whose answer is lost, a crash. What it shares with the
//! runtime is the order of things and nothing else:
//!
//! | here | in the runtime |
//! |---|---|
//! | a turn: one mail taken, entry, links, debts and mail written, all at once | a `Batch` |
//! | `Life::going` | `Destruction`: intent, page of children, whether it was released |
//! | mail is taken in order of each sender, and in any order of several | `MailOrder`: engines number their turns apart |
//! | `in_flight` holds one child | `Limits::children_in_flight_max`, so that there are pages |
//! | `answers` | what performers are about to tell; gone with the process |
//! | `holds` | what is there outside |
//!
//! A transient failure leaves everything as it was, so it is no step here (in `engine` it is one).
//! That an effect is executed outside long after its answer was given up is the provider's to
//! refuse, by the effect's id.

mod turns;

use crate::checking::{Story, Walk, breach, stuck, walk};

/// The actors, by number; a parent has a lower one than its children.
const ROOT: usize = 0;
const CHILD: usize = 1;
const GRAND: usize = 2;
const LATE: usize = 3;
const ACTORS: usize = 4;

/// Who has something made outside when it is born, by an effect.
const MAKES: [bool; ACTORS] = [false, false, true, false];
/// Who has to release something when it goes.
const RELEASES: [bool; ACTORS] = [false, false, true, true];

/// A set of actors or of debts, a bit each.
type Set = u8;
const MAKE: Set = 1;
const RELEASE: Set = 2;

const fn bit(actor: usize) -> Set {
    1 << actor
}

/// The protocol, and what is wrong with it.
#[derive(Clone, Copy, Debug)]
struct Destroy(Fault);

/// What is switched off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    None,
    /// A birth looks for a life under its name, and not for a tombstone.
    BirthOverTombstone,
    /// A child that is not born yet is not waited for.
    UnbornIsGone,
    /// Mail of one sender may overtake earlier mail of it.
    MailOvertakes,
    /// A parent does not wait for its children.
    NoWaiting,
    /// Mail is written in a commit of its own, after the turn's.
    MailApart,
    /// Links are written in a commit of their own, after the turn's.
    LinksApart,
    /// The tombstone is written while something is owed.
    TombstoneFirst,
    /// What is being destroyed may create.
    DyingCreates,
    /// A child does not tell its parent that it is gone.
    SilentEnd,
    /// A burial throws away what lies in the inbox.
    MailIsDropped,
    /// A burial makes dead letters of births, and does not tell who waits for them.
    SilentUnborn,
    /// A second birth of a living child counts as its end.
    SecondBirthIsEnd,
    /// The end of a child counts for a later birth of its name.
    EarlierEndCounts,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct State {
    entries: [Entry; ACTORS],
    debts: [Set; ACTORS],
    links: [Set; ACTORS],
    /// Sorted by sender; in order of each.
    inboxes: [Vec<Mail>; ACTORS],
    answers: [bool; ACTORS],
    holds: [bool; ACTORS],
    /// What a second commit would write, if a fault needs one.
    half: Half,
    note: Note,
    /// Who ever had a tombstone: nobody reads it but promises.
    buried: Set,
    /// Wishes that were made, a bit each.
    wished: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Entry {
    Nothing,
    Alive(Life),
    Tombstone,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Life {
    parent: Option<usize>,
    going: Option<Going>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Going {
    in_flight: Set,
    asked_up_to: usize,
    is_released: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Mail {
    from: usize,
    body: Body,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Body {
    Create,
    Destroy,
    Advance,
    Destroyed,
    Unborn { is_yours: bool },
    Note,
}

/// What becomes of the one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Note {
    Unsent,
    Sent,
    Taken,
    Dead,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Half {
    mail: Vec<(usize, Mail)>,
    links: Vec<(usize, usize)>,
}

/// Something that somebody outside may want.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wish {
    BegetChild,
    BegetChildAgain,
    BegetGrand,
    BegetLate,
    /// By itself, without a parent.
    CreateLate,
    /// Once more, after its tombstone.
    CreateRoot,
    /// A message of the root to its grandchild.
    Note,
    DestroyRoot,
    DestroyChild,
    DestroyLate,
}

const WISHES: [Wish; 10] = [
    Wish::BegetChild,
    Wish::BegetChildAgain,
    Wish::BegetGrand,
    Wish::BegetLate,
    Wish::CreateLate,
    Wish::CreateRoot,
    Wish::Note,
    Wish::DestroyRoot,
    Wish::DestroyChild,
    Wish::DestroyLate,
];

#[derive(Clone, Debug, PartialEq, Eq)]
enum Action {
    Wish(Wish),
    /// By whom, and which mail: place, sender and body.
    Take(usize, usize, usize, Body),
    Perform(usize),
    Answer(usize),
    LoseAnswer(usize),
    /// The second commit of a turn that has one.
    Rest,
    Crash,
}

const NO_RESURRECTION: &str = "nothing lives after its tombstone";
const NO_ORPHAN: &str = "no child outlives its parent's tombstone";
const LINKED: &str = "every child is linked by a parent that lives";
const NO_DEBT: &str = "a tombstone owes nothing and leaves nothing outside";
const LETTERS: &str = "a message is taken once or is a dead letter";
const ENDS: &str = "where nothing more happens, all that is to go is gone";

impl Story for Destroy {
    type State = State;
    type Action = Action;
    const PROMISES: &'static [&'static str] =
        &[NO_RESURRECTION, NO_ORPHAN, LINKED, NO_DEBT, LETTERS, ENDS];

    fn sights(&self) -> &'static [&'static str] {
        &[
            "the whole tree is gone",
            "the name is somebody else's",
            "a child is born while its parent is being destroyed",
            "a child is destroyed by itself and born again in vain",
            "the message was taken",
            "the message is a dead letter",
            "an effect is done and its answer lost",
        ]
    }

    fn start(&self) -> State {
        let mut entries = [const { Entry::Nothing }; ACTORS];
        entries[ROOT] = Entry::Alive(Life::default());
        State {
            entries,
            debts: [0; ACTORS],
            links: [0; ACTORS],
            inboxes: [const { Vec::new() }; ACTORS],
            answers: [false; ACTORS],
            holds: [false; ACTORS],
            half: Half::default(),
            note: Note::Unsent,
            buried: 0,
            wished: 0,
        }
    }

    fn actions(&self, state: &State) -> Vec<Action> {
        let mut actions = Vec::new();
        if state.half != Half::default() {
            return vec![Action::Rest, Action::Crash];
        }
        let wishes = WISHES.into_iter().filter(|wish| state.may_wish(*wish, self.0));
        actions.extend(wishes.map(Action::Wish));
        for actor in 0..ACTORS {
            let inbox = &state.inboxes[actor];
            for (place, mail) in inbox.iter().enumerate() {
                let is_first = place == 0 || inbox[place - 1].from != mail.from;
                if is_first || self.0 == Fault::MailOvertakes {
                    actions.push(Action::Take(actor, place, mail.from, mail.body));
                }
            }
            if state.answers[actor] {
                actions.extend([Action::Answer(actor), Action::LoseAnswer(actor)]);
            } else if state.debts[actor] != 0 && matches!(state.entries[actor], Entry::Alive(_)) {
                actions.push(Action::Perform(actor));
            }
        }
        if state.answers.contains(&true) {
            actions.push(Action::Crash);
        }
        actions
    }

    fn next(&self, state: &State, action: &Action) -> Option<State> {
        let mut next = state.clone();
        match *action {
            Action::Wish(wish) => next.grant(wish, self.0),
            Action::Take(actor, place, ..) => next.take(actor, place, self.0),
            Action::Perform(actor) => {
                // The first debt first: what was made is released, not the other way round.
                next.holds[actor] = next.debts[actor] & MAKE != 0;
                next.answers[actor] = true;
            }
            Action::Answer(actor) => next.settle(actor, self.0),
            Action::LoseAnswer(actor) => next.answers[actor] = false,
            Action::Rest => next.finish(),
            Action::Crash => {
                next.answers = [false; ACTORS];
                next.half = Half::default();
            }
        }
        Some(next)
    }

    fn say(&self, _state: &State, action: &Action) -> String {
        let name = |actor: usize| ["root", "child", "grand", "late"][actor];
        match *action {
            Action::Wish(wish) => format!("{wish:?}"),
            Action::Take(actor, _, from, body) => {
                let of = if actor == from { String::new() } else { format!(" of {}", name(from)) };
                format!("{} takes {body:?}{of}", name(actor))
            }
            Action::Perform(actor) => format!("{} is served", name(actor)),
            Action::Answer(actor) => format!("{} is answered", name(actor)),
            Action::LoseAnswer(actor) => format!("{} is not answered", name(actor)),
            Action::Rest => "the rest is written".to_owned(),
            Action::Crash => "crash".to_owned(),
        }
    }

    fn keeps(&self, promise: &str, state: &State) -> bool {
        let mut all = 0..ACTORS;
        match promise {
            NO_RESURRECTION => all.all(|actor| {
                state.buried & bit(actor) == 0 || state.entries[actor] == Entry::Tombstone
            }),
            NO_ORPHAN => all.all(|actor| {
                state.parent(actor).is_none_or(|it| state.entries[it] != Entry::Tombstone)
            }),
            LINKED => all.all(|actor| {
                state.parent(actor).is_none_or(|it| state.links[it] & bit(actor) != 0)
            }),
            NO_DEBT => all.all(|actor| {
                let owes = state.debts[actor] != 0 || state.holds[actor];
                state.entries[actor] != Entry::Tombstone || !owes
            }),
            LETTERS => {
                let is_note = |mail: &&Mail| mail.body == Body::Note;
                let lying = state.inboxes.iter().flatten().filter(is_note).count();
                let unwritten = state.half.mail.iter().filter(|(_, mail)| is_note(&mail)).count();
                lying + unwritten == usize::from(state.note == Note::Sent)
            }
            ENDS => {
                let is_own = |action: &Action| self.is_own(action);
                let goes_on = self.actions(state).iter().any(is_own);
                let is_going =
                    |it: &Entry| matches!(it, Entry::Alive(life) if life.going.is_some());
                let (is_to_end, is_over) = self.end(state);
                goes_on || (!state.entries.iter().any(is_going) && (is_over || !is_to_end))
            }
            _ => panic!("no promise is called {promise}"),
        }
    }

    fn shows(&self, sight: &str, state: &State) -> bool {
        let is_buried = |actor: usize| state.entries[actor] == Entry::Tombstone;
        match sight {
            "the whole tree is gone" => (0..ACTORS).all(is_buried),
            "the name is somebody else's" => {
                state.links[ROOT] & bit(LATE) != 0
                    && state.entries[LATE] == Entry::Alive(Life::default())
            }
            "a child is born while its parent is being destroyed" => {
                state.going(ROOT).is_some_and(|it| it.in_flight & bit(CHILD) != 0)
                    && state.parent(CHILD).is_some()
                    && state.going(CHILD).is_none()
            }
            "a child is destroyed by itself and born again in vain" => {
                is_buried(CHILD) && state.inboxes[CHILD].iter().any(|it| it.body == Body::Create)
            }
            "the message was taken" => state.note == Note::Taken,
            "the message is a dead letter" => state.note == Note::Dead,
            "an effect is done and its answer lost" => {
                state.debts[GRAND] & RELEASE != 0 && !state.holds[GRAND] && !state.answers[GRAND]
            }
            _ => panic!("nothing is called {sight}"),
        }
    }

    fn end(&self, state: &State) -> (bool, bool) {
        let is_buried = state.entries[ROOT] == Entry::Tombstone;
        let is_alone = (0..ACTORS).all(|actor| state.parent(actor).is_none());
        let is_quiet = state.inboxes.iter().all(Vec::is_empty) && state.links == [0; ACTORS];
        (is_buried || state.going(ROOT).is_some(), is_buried && is_alone && is_quiet)
    }

    fn is_own(&self, action: &Action) -> bool {
        match action {
            Action::Take(..) | Action::Perform(_) | Action::Answer(_) | Action::Rest => true,
            Action::Wish(_) | Action::LoseAnswer(_) | Action::Crash => false,
        }
    }
}

/// G6, G7, G8.
mod protocol {
    use super::*;

    #[test]
    fn a_tree_goes_as_a_whole_whatever_comes_meanwhile() {
        let found = walk(Destroy(Fault::None));
        assert_eq!(found, Walk { states: 64_919, steps: 311_567, depth: 28, stuck: 0 });
    }

    /// Each guard switched off, and the shortest way to what it guards against.
    mod controls {
        use super::*;

        #[test]
        fn a_birth_that_looks_past_the_tombstone_brings_somebody_back() {
            assert_eq!(
                breach(Destroy(Fault::BirthOverTombstone), NO_RESURRECTION),
                ["DestroyRoot", "root takes Advance", "CreateRoot"]
            );
        }

        #[test]
        fn a_child_that_is_not_born_yet_and_is_passed_over_outlives_its_parent() {
            assert_eq!(
                breach(Destroy(Fault::UnbornIsGone), NO_ORPHAN),
                ["BegetChild", "DestroyRoot", "root takes Advance", "child takes Create of root"]
            );
        }

        #[test]
        fn a_destroy_that_overtakes_the_birth_finds_nobody_and_the_child_stays() {
            assert_eq!(
                breach(Destroy(Fault::MailOvertakes), ENDS),
                [
                    "BegetChild",
                    "DestroyRoot",
                    "root takes Advance",
                    "child takes Destroy of root",
                    "child takes Create of root"
                ]
            );
        }

        #[test]
        fn a_parent_that_does_not_wait_is_outlived() {
            assert_eq!(
                breach(Destroy(Fault::NoWaiting), NO_ORPHAN),
                ["BegetChild", "DestroyRoot", "root takes Advance", "child takes Create of root"]
            );
        }

        #[test]
        fn mail_in_a_commit_of_its_own_is_lost_with_the_process() {
            assert_eq!(
                breach(Destroy(Fault::MailApart), ENDS),
                ["BegetChild", "crash", "DestroyRoot", "root takes Advance", "crash"]
            );
        }

        #[test]
        fn a_link_in_a_commit_of_its_own_leaves_a_child_without_a_parent() {
            assert_eq!(
                breach(Destroy(Fault::LinksApart), NO_ORPHAN),
                [
                    "BegetChild",
                    "crash",
                    "DestroyRoot",
                    "root takes Advance",
                    "child takes Create of root"
                ]
            );
        }

        #[test]
        fn a_tombstone_before_its_debts_leaves_something_outside() {
            assert_eq!(
                breach(Destroy(Fault::TombstoneFirst), NO_DEBT),
                ["CreateLate", "DestroyLate", "late takes Advance"]
            );
        }

        #[test]
        fn a_parent_that_creates_while_it_goes_is_outlived() {
            assert_eq!(
                breach(Destroy(Fault::DyingCreates), NO_ORPHAN),
                [
                    "BegetLate",
                    "CreateLate",
                    "DestroyRoot",
                    "root takes Advance",
                    "BegetChild",
                    "child takes Create of root",
                    "late takes Create of root",
                    "root takes Unborn { is_yours: false } of late"
                ]
            );
        }

        #[test]
        fn a_child_that_does_not_say_that_it_is_gone_keeps_its_parent() {
            assert_eq!(
                breach(Destroy(Fault::SilentEnd), ENDS),
                [
                    "BegetChild",
                    "DestroyRoot",
                    "root takes Advance",
                    "child takes Create of root",
                    "child takes Destroy of root"
                ]
            );
        }

        #[test]
        fn a_burial_that_throws_mail_away_loses_a_message() {
            assert_eq!(
                breach(Destroy(Fault::MailIsDropped), LETTERS),
                [
                    "BegetChild",
                    "Note",
                    "child takes Create of root",
                    "BegetGrand",
                    "DestroyChild",
                    "child takes Advance",
                    "grand takes Create of child",
                    "grand takes Destroy of child",
                    "grand is served",
                    "grand is answered",
                    "grand is served",
                    "grand is answered"
                ]
            );
        }

        #[test]
        fn a_burial_that_tells_nobody_of_a_birth_keeps_the_parent() {
            assert_eq!(
                breach(Destroy(Fault::SilentUnborn), ENDS),
                [
                    "BegetLate",
                    "CreateLate",
                    "DestroyRoot",
                    "DestroyLate",
                    "root takes Advance",
                    "late takes Advance",
                    "late is served",
                    "late is answered"
                ]
            );
        }

        #[test]
        fn a_second_birth_that_counts_as_an_end_lets_the_child_outlive() {
            assert_eq!(
                breach(Destroy(Fault::SecondBirthIsEnd), NO_ORPHAN),
                [
                    "BegetChild",
                    "BegetChildAgain",
                    "DestroyRoot",
                    "root takes Advance",
                    "child takes Create of root",
                    "child takes Create of root",
                    "root takes Unborn { is_yours: true } of child"
                ]
            );
        }

        #[test]
        fn an_earlier_end_that_counts_for_a_later_birth_leaves_a_link_behind() {
            assert_eq!(
                breach(Destroy(Fault::EarlierEndCounts), ENDS),
                [
                    "BegetChild",
                    "child takes Create of root",
                    "DestroyChild",
                    "child takes Advance",
                    "BegetChildAgain",
                    "DestroyRoot",
                    "root takes Advance",
                    "child takes Create of root",
                    "root takes Destroyed of child",
                    "child takes Destroy of root"
                ]
            );
        }

        #[test]
        fn what_keeps_a_parent_keeps_it_for_ever() {
            assert!(stuck(Destroy(Fault::SilentEnd)) > 0);
        }
    }
}
