//! Mail: taken oldest first, in the same commit as what it changes.

use crate::codec;
use crate::destroy::Intent;
use crate::error::{Error, ErrorKind};
use crate::event::What;
use crate::inbox::{Body, Gone, Mail};
use crate::key::{self, ActorId, MailOrder};
use crate::store::Store;
use crate::time::Timestamp;

use super::draft::{Draft, End};
use super::slot::{Found, Slot};
use super::turns::{Unborn, intend};
use super::{Engine, Turned};

impl Engine {
    /// Takes the oldest mail.
    pub(super) fn take_first(
        &mut self,
        now: Timestamp,
        store: &dyn Store,
    ) -> Result<Turned, Error> {
        let Some((place, to)) = self.mail.first().map(|(p, to)| (p, to.clone())) else {
            return Ok(Turned::default());
        };
        let Some(bytes) = store.get(&key::mail(&to, place))? else {
            // A burial cleared this inbox between the notice and now.
            self.mail.remove(place);
            return Ok(Turned::default());
        };
        self.mail.remove(place);
        if self.aside.keep(place, &to) {
            return Ok(Turned::default());
        }
        let mail: Mail = match codec::open(&bytes) {
            Ok(mail) => mail,
            Err(error) => {
                self.aside.put_mail(place, &to, &unreadable(&to, error));
                return Ok(Turned::default());
            }
        };
        let result = self.take_one(now, store, (place, &to, mail));
        let turned = self.spare(now, &to, result)?;
        if turned.is_none() {
            self.aside.keep(place, &to);
        }
        Ok(turned.unwrap_or_default())
    }

    fn take_one(
        &mut self,
        now: Timestamp,
        store: &dyn Store,
        got: (MailOrder, &ActorId, Mail),
    ) -> Result<Turned, Error> {
        let (place, to, mail) = got;
        let mut draft = self.draft(to, now);
        draft.take_mail(to, place);
        match self.checkout(now, store, to)? {
            Found::Alive(slot) => self.take_alive(store, (slot, draft), (place, mail)),
            Found::Buried(_) | Found::Nothing => self.take_unliving(store, (to, draft), &mail),
        }
    }

    /// Mail for a name without a life: a birth, or a dead letter.
    fn take_unliving(
        &mut self,
        store: &dyn Store,
        at: (&ActorId, Draft),
        mail: &Mail,
    ) -> Result<Turned, Error> {
        let (to, mut draft) = at;
        let label = (to.clone(), mail.body.name().to_owned().into());
        let Body::Create { init } = &mail.body else {
            // Keeps G6: nothing that arrives at a tombstone runs anything.
            draft.dead_letter(to, mail, "there is no such actor, or it was destroyed")?;
            return Ok(self.commit(draft, label));
        };
        match self.be_born(store, to, (init, mail.from.as_ref()), &mut draft)? {
            Ok(mut slot) => {
                let turned = self.finish(&mut slot, draft, label)?;
                self.checkin(slot);
                Ok(turned)
            }
            Err(unborn) => {
                refuse_birth((to, &mut draft), mail, &unborn)?;
                Ok(self.commit(draft, label))
            }
        }
    }

    fn take_alive(
        &mut self,
        store: &dyn Store,
        at: (Box<Slot>, Draft),
        got: (MailOrder, Mail),
    ) -> Result<Turned, Error> {
        let (mut slot, mut draft) = at;
        let (place, mail) = got;
        let label = (slot.id.clone(), mail.body.name().to_owned().into());
        let is_other_life = mail.incarnation.is_some_and(|life| life != slot.record.incarnation);
        if is_other_life {
            draft.dead_letter(&slot.id, &mail, "it was meant for another life of this name")?;
        } else {
            match &mail.body {
                Body::Message { name, bytes } => {
                    let message = (place, &mail, name.as_str(), bytes.as_slice());
                    self.take_message(&mut slot, &mut draft, message)?;
                }
                Body::Create { .. } => {
                    let is_yours = mail.from.is_some() && mail.from == slot.rare().parent;
                    let id = slot.id.clone();
                    refuse_birth((&id, &mut draft), &mail, &Unborn::Exists { is_yours })?;
                }
                Body::Destroy { why, by } => {
                    if mail.from == slot.rare().parent {
                        let intent = Intent { why: why.clone(), by: by.clone() };
                        // Nobody waits for this intent, so it goes on in the same turn.
                        if intend(&mut slot, &mut draft, intent)? {
                            self.advance(store, &mut slot, &mut draft, None)?;
                        }
                    } else {
                        draft.dead_letter(&slot.id, &mail, "only its parent may ask this way")?;
                    }
                }
                Body::Advance => self.advance(store, &mut slot, &mut draft, None)?,
                Body::Gone { child, end } => {
                    self.take_gone(store, (&mut slot, &mut draft), (place, child, end))?;
                }
            }
        }
        self.end_turn(slot, draft, label)
    }

    fn take_message(
        &mut self,
        slot: &mut Slot,
        draft: &mut Draft,
        message: (MailOrder, &Mail, &str, &[u8]),
    ) -> Result<(), Error> {
        let (place, mail, name, bytes) = message;
        if slot.is_destroying() {
            return draft.dead_letter(&slot.id, mail, "it is being destroyed");
        }
        let result = self.attempt(slot, draft, name, |live, record| {
            record.from.clone_from(&mail.from);
            live.on_message((name, bytes), record)
        })?;
        let Err(refusal) = result else { return Ok(()) };
        // The refused turn changed nothing; the mail is taken all the same, and says why.
        *draft = draft.anew();
        draft.take_mail(&slot.id, place);
        draft.dead_letter(&slot.id, mail, &refusal.reason)
    }

    /// A child is gone: the actor may react, and a destruction goes on.
    fn take_gone(
        &mut self,
        store: &dyn Store,
        at: (&mut Slot, &mut Draft),
        gone: (MailOrder, &ActorId, &Gone),
    ) -> Result<(), Error> {
        let (slot, draft) = at;
        let (place, child, end) = gone;
        let result = self
            .attempt(slot, draft, "gone", |live, record| live.on_child_gone(child, end, record))?;
        if let Err(refusal) = result {
            *draft = draft.anew();
            draft.take_mail(&slot.id, place);
            let text = format!("{child} is gone, and that was refused: {refusal}");
            slot.publish(draft, What::Fact { name: "refused".to_owned(), text })?;
        }
        let unlinked = match end {
            // The link is of a child that lives: nothing is gone.
            Gone::Unborn { is_yours: true, .. } => return Ok(()),
            Gone::Unborn { is_yours: false, .. } => {
                draft.take(key::child(&slot.id, child));
                Some(child)
            }
            // The burial took the link away. One that is there belongs to a later birth of the
            // same name, whose own answer is on its way: that child is not gone yet.
            Gone::Destroyed { .. } if store.get(&key::child(&slot.id, child))?.is_some() => {
                return Ok(());
            }
            Gone::Destroyed { .. } => None,
        };
        if let Some(destruction) = slot.destruction_mut() {
            if destruction.in_flight.remove(child) {
                draft.end = End::Changed;
            }
            self.advance(store, slot, draft, unlinked)?;
        }
        Ok(())
    }
}

fn unreadable(to: &ActorId, error: codec::CodecError) -> Error {
    Error::new(ErrorKind::Corrupt, format!("a mail of {to} cannot be read")).with_source(error)
}

/// Tells the parent, or the log, that there was no birth.
pub(super) fn refuse_birth(
    at: (&ActorId, &mut Draft),
    mail: &Mail,
    unborn: &Unborn,
) -> Result<(), Error> {
    let (child, draft) = at;
    let why = unborn.error(child).to_string();
    draft.dead_letter(child, mail, &why)?;
    let Some(parent) = &mail.from else { return Ok(()) };
    let is_yours = matches!(unborn, Unborn::Exists { is_yours: true });
    let end = Gone::Unborn { why, is_yours };
    let body = Body::Gone { child: child.clone(), end };
    let mail = Mail { from: None, incarnation: Some(parent.incarnation), body };
    draft.send(&parent.id, &mail)
}
