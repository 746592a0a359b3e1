//! Simulation: a bug that needs three requests before any answer, found by chance and made short.
#![expect(clippy::print_stdout, reason = "an example talks to its reader")]

use serde::{Deserialize, Serialize};
use sexton::{Actor, Handler, Handlers, Kinds, Message, Outcome, Refusal, Turn};
use sexton_sim::{Asked, Check, check};

const SEATS: u32 = 2;

sexton::lifecycle! {
    enum Doors {
        Open = "open" [] => [],
    }
}

/// A room with two seats. A careful one counts the bookings that are not confirmed yet.
#[derive(Serialize, Deserialize)]
struct Room<const CAREFUL: bool> {
    taken: u32,
    asked_for: u32,
}

#[derive(Serialize, Deserialize)]
struct Book;

impl Message for Book {
    const NAME: &'static str = "book";
    type Reply = ();
}

impl<const CAREFUL: bool> Actor for Room<CAREFUL> {
    const KIND: &'static str = "room";
    type Init = ();
    type Status = Doors;
    type Deadline = ();
    type Effect = (); // ask the hotel for a seat
    type Answer = ();

    fn create(_init: (), _turn: &mut Turn<Self>) -> Result<Self, Refusal> {
        Ok(Self { taken: 0, asked_for: 0 })
    }

    fn handlers(on: &mut Handlers<Self>) {
        on.message::<Book>();
    }

    fn status(&self) -> Doors {
        Doors::Open
    }

    fn on_outcome(
        &mut self,
        _effect: &(),
        outcome: Outcome<()>,
        _turn: &mut Turn<Self>,
    ) -> Result<(), Refusal> {
        self.asked_for -= 1;
        if let Outcome::Done(()) = outcome {
            self.taken += 1;
        }
        Ok(())
    }
}

impl<const CAREFUL: bool> Handler<Book> for Room<CAREFUL> {
    fn handle(&mut self, _message: Book, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        // Without `asked_for` this is check and act, with the whole world in between.
        let counted = if CAREFUL { self.taken + self.asked_for } else { self.taken };
        if counted >= SEATS {
            return Err(Refusal::new("the room is full"));
        }
        self.asked_for += 1;
        turn.effect(&());
        Ok(())
    }
}

fn simulated<const CAREFUL: bool>() -> Check<Room<CAREFUL>> {
    check::<Room<CAREFUL>>(|| Kinds::new().with::<Room<CAREFUL>>(), || ())
        .asks(|_, id| Asked::call::<Room<CAREFUL>, _>(id, Book, "book"))
        .holds("a room never has more guests than seats", |room| room.taken <= SEATS)
}

fn main() {
    let found = simulated::<false>().run(100).expect_err("the bug is there");
    println!("{found}");
    let books = found.trace.iter().filter(|line| line.contains("to book")).count();
    assert_eq!(books, 3, "three requests are needed, and no more are left");

    simulated::<true>().assert(100);
    println!("a room that counts what it asked for kept its promise with 100 seeds");
}
