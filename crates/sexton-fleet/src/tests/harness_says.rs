//! What actors say to each other, said by a test: with the sender that it would have.

use std::time::Duration;

use sexton_core::sweep::{Pass, Sweeper};
use sexton_core::{
    ActorRef, Entry, Handler, Letter, Mail, Message, Store, Switch, Timestamp, What, codec, key,
    query,
};

use super::harness::{Fleet, id};

/// Says of a mail that somebody else sent it.
pub(super) fn sent_by(sender: &ActorRef, write: &mut sexton_core::Write) {
    let is_inbox = matches!(key::parse(&write.key), Some(key::Parsed::Inbox(..)));
    if let Some(bytes) = write.value.as_mut().filter(|_| is_inbox) {
        let mail = codec::open::<Mail>(bytes).expect("a mail");
        *bytes = codec::seal(&Mail { from: Some(sender.clone()), ..mail }).expect("encodable");
    }
}

impl Fleet {
    /// Has one actor send a durable message to another, and lets that turn of the other run.
    ///
    /// # Errors
    ///
    /// Why it was not taken.
    pub(super) fn say<A: Handler<M>, M: Message>(
        &mut self,
        from: &str,
        to: &str,
        message: &M,
    ) -> Result<(), String> {
        let incarnation = match query::entry(&*self.store, &id(from)).expect("readable") {
            Some(Entry::Alive(record)) => record.incarnation,
            Some(Entry::Tombstone(tombstone)) => tombstone.incarnation,
            None => 1,
        };
        let since = self.events.len();
        let letter = Letter::new::<A, M>(&id(to), message).expect("its kind");
        let sender = ActorRef { id: id(from), incarnation };
        self.post_as(Some(sender.clone()), vec![letter]);
        // As in a call, what is due at this moment comes after it.
        self.engine.switch_alarms(Switch::Paused);
        while self.lies_in_inbox(to, &sender, M::NAME) {
            let turned = self.engine.next(self.now, &self.store).expect("readable");
            self.submit(turned.expect("it is to be taken"));
        }
        self.engine.switch_alarms(self.alarms);
        let refusals = self.events[since..].iter().filter(|event| event.actor == id(to));
        let mut refusals = refusals.filter_map(|event| {
            if let What::DeadLetter { message, why, .. } = &event.what
                && *message == M::NAME
            {
                return Some(why.clone());
            }
            None
        });
        refusals.next().map_or(Ok(()), Err)
    }

    /// Sends durable messages from this actor, or nobody in particular.
    pub(super) fn post_as(&mut self, sender: Option<ActorRef>, letters: Vec<Letter>) {
        if self.tombstone("sweep/post").is_none() && self.rows_of("sweep/post") == 0 {
            self.create::<Sweeper>("sweep/post", &(Timestamp::ZERO, Duration::ZERO));
        }
        let pass = Pass {
            next_at: self.now,
            back_off: None,
            asks: letters,
            examined: 0,
            failed: 0,
            cursor: None,
        };
        self.sender = sender;
        self.call::<Sweeper, _>("sweep/post", pass).expect("due");
    }

    fn lies_in_inbox(&self, to: &str, from: &ActorRef, name: &str) -> bool {
        let prefix = key::inbox(&id(to));
        let found = self.store.scan(&prefix, &key::end_of(&prefix), 100).expect("readable");
        let mails = found.iter().map(|(_, bytes)| codec::open::<Mail>(bytes).expect("a mail"));
        let mut mine = mails.filter(|mail| mail.from.as_ref() == Some(from));
        mine.any(|mail| mail.body.name() == name)
    }

    fn rows_of(&self, who: &str) -> usize {
        self.rows(id(who).kind()).iter().filter(|row| row.id == id(who)).count()
    }
}
