//! Behaviour through the front door: what a kind may not be, and what it does by default.
//!
//! Method: kinds with one fault each; an effect that fails for good where nobody looks.

use std::panic::catch_unwind;

use serde::{Deserialize, Serialize};
use sexton::{
    Actor, ActorId, Answer, Handlers, Kinds, Owed, Refusal, Request, Timestamp, Turn, What, log,
    query,
};
use sexton_sim::{Play, every_way};
use sexton_tests::failure;

/// A kind with one status of each name, that owes an effect from its birth.
macro_rules! kind {
    ($kind:ident, $status:ident, $first:literal, $second:literal) => {
        sexton::lifecycle! {
            enum $status {
                First = $first [] => [Second],
                Second = $second [] => [],
            }
        }

        #[derive(Serialize, Deserialize)]
        struct $kind(bool);

        impl Actor for $kind {
            const KIND: &'static str = "kind";
            type Init = ();
            type Status = $status;
            type Deadline = ();
            type Effect = ();
            type Answer = ();

            fn create(_init: (), turn: &mut Turn<Self>) -> Result<Self, Refusal> {
                turn.effect(&());
                Ok(Self(false))
            }

            fn handlers(_on: &mut Handlers<Self>) {}

            fn status(&self) -> $status {
                if self.0 { $status::Second } else { $status::First }
            }
        }
    };
}

kind!(Good, GoodStatus, "one", "two");
kind!(Twice, TwiceStatus, "one", "one");
kind!(Nameless, NamelessStatus, "one", "");
kind!(Going, GoingStatus, "one", "destroying");

/// Why a kind is refused.
fn refused<A: Actor>() -> String {
    let panic = catch_unwind(|| drop(Kinds::new().with::<A>())).expect_err("it is refused");
    panic.downcast_ref::<String>().expect("words").clone()
}

#[test]
fn two_statuses_of_one_name_are_refused() {
    assert!(refused::<Twice>().contains("two statuses of kind are named one"));
}

#[test]
fn a_status_without_a_name_is_refused() {
    assert!(refused::<Nameless>().contains("Second of kind has no name"));
}

#[test]
fn a_status_that_is_named_as_what_goes_is_refused() {
    assert!(refused::<Going>().contains("Second of kind is named destroying"));
}

#[test]
fn an_effect_that_fails_for_good_where_nobody_looks_is_told() {
    let perform = |(): &mut (), _owed: &Owed| Answer::Permanent(failure());
    let play = Play::<()>::new(|| Kinds::new().with::<Good>(), perform);
    let id = ActorId::new("kind", "a").unwrap();
    let told = every_way(&play, |world| {
        world.request(&id, Request::create::<Good>(&(), Box::new(drop))?)?;
        world.advance_to(Timestamp::from_millis(60_000))?;
        world.flush()?;
        let history = log::of(world.store(), &id, 9)?;
        let is_told = |what: &What| {
            let What::Fact { name, text } = what else { return false };
            name == "failed" && text == "network: it rains"
        };
        let n_told = history.events.iter().filter(|(_, event)| is_told(&event.what)).count();
        assert_eq!((n_told, query::debts(world.store(), &id)?.len()), (1, 0));
        Ok(())
    });
    assert_eq!(told.unwrap(), 2);
}
