//! What is indexed: shelves and their books, which are lent, come back and are given away.

use std::error::Error;

use serde::{Deserialize, Serialize};
use sexton::{Actor, ActorId, Handler, Handlers, Host, Kinds, Message, Refusal, Turn};

/// The statuses of shelves and books.
mod phases {
    sexton::lifecycle! {
        /// What a shelf can be.
        pub enum Shelved {
            /// It stands.
            Stands = "stands" [] => [],
        }
    }
    sexton::lifecycle! {
        /// What a book can be.
        pub enum Lending {
            /// Somebody may take it.
            Here = "here" [] => [Lent],
            /// Somebody has it.
            Lent = "lent" [] => [Here],
        }
    }
}

use phases::{Lending, Shelved};

#[derive(Serialize, Deserialize)]
pub(crate) struct Shelf {
    books: u64,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct Book {
    is_lent: bool,
}

#[derive(Serialize, Deserialize)]
struct Add(String);

impl Message for Add {
    const NAME: &'static str = "add";
    type Reply = ();
}

#[derive(Serialize, Deserialize)]
struct Lend(bool);

impl Message for Lend {
    const NAME: &'static str = "lend";
    type Reply = ();
}

impl Actor for Shelf {
    const KIND: &'static str = "shelf";
    type Init = ();
    type Status = Shelved;
    type Deadline = ();
    type Effect = ();
    type Answer = ();

    fn create(_init: (), _turn: &mut Turn<Self>) -> Result<Self, Refusal> {
        Ok(Self { books: 0 })
    }

    fn handlers(on: &mut Handlers<Self>) {
        on.message::<Add>();
    }

    fn status(&self) -> Shelved {
        Shelved::Stands
    }
}

impl Handler<Add> for Shelf {
    fn handle(&mut self, message: Add, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        self.books += 1;
        turn.create::<Book>(&message.0, &());
        Ok(())
    }
}

impl Actor for Book {
    const KIND: &'static str = "book";
    type Init = ();
    type Status = Lending;
    type Deadline = ();
    type Effect = ();
    type Answer = ();

    fn create(_init: (), _turn: &mut Turn<Self>) -> Result<Self, Refusal> {
        Ok(Self { is_lent: false })
    }

    fn handlers(on: &mut Handlers<Self>) {
        on.message::<Lend>();
    }

    fn status(&self) -> Lending {
        if self.is_lent { Lending::Lent } else { Lending::Here }
    }
}

impl Handler<Lend> for Book {
    fn handle(&mut self, message: Lend, _turn: &mut Turn<Self>) -> Result<(), Refusal> {
        self.is_lent = message.0;
        Ok(())
    }
}

/// The kinds of the library.
pub(crate) fn kinds() -> Kinds {
    Kinds::new().with::<Shelf>().with::<Book>()
}

/// A day of the library: a shelf with three books; the first is lent, the second lent and back,
/// and every other day the whole shelf goes.
pub(crate) async fn day(host: &Host, number: u64) -> Result<(), Box<dyn Error>> {
    let shelf = host.actor::<Shelf>(&format!("s{number}"))?;
    shelf.create(()).await?;
    let names = ["a", "b", "c"].map(|book| format!("s{number}-{book}"));
    for name in &names {
        shelf.call(Add(name.clone())).await?;
    }
    for (name, lendings) in names.iter().zip([&[true][..], &[true, false], &[]]) {
        let book = host.actor::<Book>(name)?;
        while book.entry().await?.is_none() {
            tokio::task::yield_now().await;
        }
        for is_lent in lendings {
            book.call(Lend(*is_lent)).await?;
        }
    }
    host.actor::<Book>(&names[2])?.destroy("given away").await?;
    if number % 2 == 1 {
        shelf.destroy("no room").await?;
    }
    Ok(())
}

/// The id of the shelf of a day.
pub(crate) fn shelf(number: u64) -> ActorId {
    ActorId::new(Shelf::KIND, &format!("s{number}")).expect("a good name")
}
