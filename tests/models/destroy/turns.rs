//! The turns of the protocol: what one mail, one wish or one answer changes, all at once.

use super::{
    ACTORS, Body, CHILD, Entry, Fault, GRAND, Going, Half, LATE, Life, MAKE, MAKES, Mail, Note,
    RELEASE, RELEASES, ROOT, State, WISHES, Wish, bit,
};

impl State {
    pub(super) fn parent(&self, actor: usize) -> Option<usize> {
        match &self.entries[actor] {
            Entry::Alive(life) => life.parent,
            Entry::Nothing | Entry::Tombstone => None,
        }
    }

    pub(super) fn going(&self, actor: usize) -> Option<&Going> {
        match &self.entries[actor] {
            Entry::Alive(life) => life.going.as_ref(),
            Entry::Nothing | Entry::Tombstone => None,
        }
    }

    fn going_mut(&mut self, actor: usize) -> Option<&mut Going> {
        match &mut self.entries[actor] {
            Entry::Alive(life) => life.going.as_mut(),
            Entry::Nothing | Entry::Tombstone => None,
        }
    }

    fn is_alive(&self, actor: usize) -> bool {
        matches!(self.entries[actor], Entry::Alive(_))
    }

    /// Whether a wish would be granted, and was not yet.
    pub(super) fn may_wish(&self, wish: Wish, fault: Fault) -> bool {
        let is_ready = |actor: usize| {
            let may_create = self.going(actor).is_none() || fault == Fault::DyingCreates;
            self.is_alive(actor) && may_create
        };
        let is_possible = match wish {
            Wish::BegetChild | Wish::BegetLate | Wish::Note => is_ready(ROOT),
            Wish::BegetChildAgain => is_ready(ROOT) && self.wished & Wish::BegetChild.bit() != 0,
            Wish::BegetGrand => is_ready(CHILD),
            Wish::CreateLate => self.entries[LATE] == Entry::Nothing,
            Wish::CreateRoot => {
                fault == Fault::BirthOverTombstone && self.entries[ROOT] == Entry::Tombstone
            }
            Wish::DestroyRoot => self.is_alive(ROOT),
            Wish::DestroyChild => self.is_alive(CHILD),
            Wish::DestroyLate => self.is_alive(LATE),
        };
        is_possible && self.wished & wish.bit() == 0
    }

    pub(super) fn grant(&mut self, wish: Wish, fault: Fault) {
        match wish {
            Wish::DestroyRoot => self.destroy(ROOT),
            Wish::DestroyChild => self.destroy(CHILD),
            Wish::DestroyLate => self.destroy(LATE),
            Wish::BegetChild | Wish::BegetChildAgain => self.beget(ROOT, CHILD, fault),
            Wish::BegetGrand => self.beget(CHILD, GRAND, fault),
            Wish::BegetLate => self.beget(ROOT, LATE, fault),
            Wish::CreateLate => self.be_born(LATE, None),
            Wish::CreateRoot => self.be_born(ROOT, None),
            Wish::Note => {
                self.note = Note::Sent;
                self.send(ROOT, GRAND, Body::Note, fault);
            }
        }
        self.wished |= wish.bit();
    }

    fn beget(&mut self, parent: usize, child: usize, fault: Fault) {
        if fault == Fault::LinksApart {
            self.half.links.push((parent, child));
        } else {
            self.links[parent] |= bit(child);
        }
        self.send(parent, child, Body::Create, fault);
    }

    /// One mail is taken out of an inbox, with all that follows from it.
    pub(super) fn take(&mut self, actor: usize, place: usize, fault: Fault) {
        let Mail { from, body } = self.inboxes[actor].remove(place);
        match (&self.entries[actor], body) {
            (Entry::Nothing, Body::Create) => self.be_born(actor, Some(from)),
            (Entry::Tombstone, Body::Create) if fault == Fault::BirthOverTombstone => {
                self.be_born(actor, Some(from));
            }
            (Entry::Tombstone, Body::Create) => {
                self.send(actor, from, Body::Unborn { is_yours: false }, fault);
            }
            (Entry::Alive(life), Body::Create) => {
                let is_yours = life.parent == Some(from);
                self.send(actor, from, Body::Unborn { is_yours }, fault);
            }
            (Entry::Alive(life), Body::Destroy) => {
                // Nobody waits for this intent: it goes on in the same turn.
                if life.parent == Some(from) && self.intend(actor) {
                    self.advance(actor, None, fault);
                }
            }
            (Entry::Alive(_), Body::Advance) => self.advance(actor, None, fault),
            (Entry::Alive(_), Body::Destroyed) => {
                // A link that is there is of a later birth, whose own answer will come.
                let is_linked = self.links[actor] & bit(from) != 0;
                if !is_linked || fault == Fault::EarlierEndCounts {
                    self.lose_child(actor, from, None, fault);
                }
            }
            (Entry::Alive(_), Body::Unborn { is_yours: true }) => {
                if fault == Fault::SecondBirthIsEnd {
                    self.lose_child(actor, from, None, fault);
                }
            }
            (Entry::Alive(_), Body::Unborn { is_yours: false }) => {
                self.links[actor] &= !bit(from);
                self.lose_child(actor, from, Some(from), fault);
            }
            (Entry::Alive(life), Body::Note) => {
                self.note = if life.going.is_some() { Note::Dead } else { Note::Taken };
            }
            (Entry::Nothing | Entry::Tombstone, Body::Note) => self.note = Note::Dead,
            // Dead letters of the runtime's own.
            (
                Entry::Nothing | Entry::Tombstone,
                Body::Destroy | Body::Advance | Body::Destroyed | Body::Unborn { .. },
            ) => {}
        }
    }

    /// Who performed the first debt says so.
    pub(super) fn settle(&mut self, actor: usize, fault: Fault) {
        self.answers[actor] = false;
        let debts = self.debts[actor];
        self.debts[actor] = if debts & MAKE != 0 { debts & !MAKE } else { debts & !RELEASE };
        self.bury_if_free(actor, fault);
    }

    /// The second commit of a turn that a fault has split.
    pub(super) fn finish(&mut self) {
        let Half { mail, links } = std::mem::take(&mut self.half);
        for (parent, child) in links {
            self.links[parent] |= bit(child);
        }
        for (to, mail) in mail {
            self.put(to, mail);
        }
    }

    fn be_born(&mut self, actor: usize, parent: Option<usize>) {
        self.entries[actor] = Entry::Alive(Life { parent, going: None });
        if MAKES[actor] {
            self.debts[actor] |= MAKE;
        } else {
            self.holds[actor] = RELEASES[actor];
        }
    }

    /// Somebody outside asks: an intent, and a mail to itself that goes on.
    fn destroy(&mut self, actor: usize) {
        if self.intend(actor) {
            self.put(actor, Mail { from: actor, body: Body::Advance });
        }
    }

    /// Whether it is an intent that was not there.
    fn intend(&mut self, actor: usize) -> bool {
        let Entry::Alive(life) = &mut self.entries[actor] else { return false };
        let is_new = life.going.is_none();
        life.going.get_or_insert_default();
        is_new
    }

    fn lose_child(&mut self, actor: usize, child: usize, unlinked: Option<usize>, fault: Fault) {
        if let Some(going) = self.going_mut(actor) {
            going.in_flight &= !bit(child);
            self.advance(actor, unlinked, fault);
        }
    }

    /// Asks the next child to go, or releases what is held, or buries.
    fn advance(&mut self, actor: usize, unlinked: Option<usize>, fault: Fault) {
        let Some(mut going) = self.going(actor).cloned() else { return };
        if !going.is_released {
            for child in going.asked_up_to + 1..ACTORS {
                let is_child = self.links[actor] & bit(child) != 0 && Some(child) != unlinked;
                if !is_child || going.in_flight != 0 {
                    continue;
                }
                going.asked_up_to = child;
                if fault == Fault::UnbornIsGone && self.entries[child] == Entry::Nothing {
                    continue;
                }
                going.in_flight |= bit(child);
                self.send(actor, child, Body::Destroy, fault);
            }
            let waits = going.in_flight != 0 && fault != Fault::NoWaiting;
            if !waits {
                going.is_released = true;
                self.debts[actor] |= if RELEASES[actor] { RELEASE } else { 0 };
            }
            if let Some(place) = self.going_mut(actor) {
                *place = going;
            }
        }
        self.bury_if_free(actor, fault);
    }

    fn bury_if_free(&mut self, actor: usize, fault: Fault) {
        let Some(going) = self.going(actor) else { return };
        let waits = going.in_flight != 0 && fault != Fault::NoWaiting;
        let owes = self.debts[actor] != 0 && fault != Fault::TombstoneFirst;
        if !going.is_released || waits || owes {
            return;
        }
        let parent = self.parent(actor);
        self.entries[actor] = Entry::Tombstone;
        self.buried |= bit(actor);
        for mail in std::mem::take(&mut self.inboxes[actor]) {
            match mail.body {
                _ if fault == Fault::MailIsDropped => {}
                Body::Create if fault != Fault::SilentUnborn => {
                    self.send(actor, mail.from, Body::Unborn { is_yours: false }, fault);
                }
                Body::Note => self.note = Note::Dead,
                Body::Create
                | Body::Destroy
                | Body::Advance
                | Body::Destroyed
                | Body::Unborn { .. } => {}
            }
        }
        if let Some(parent) = parent {
            self.links[parent] &= !bit(actor);
            if fault != Fault::SilentEnd {
                self.send(actor, parent, Body::Destroyed, fault);
            }
        }
    }

    fn send(&mut self, from: usize, to: usize, body: Body, fault: Fault) {
        let mail = Mail { from, body };
        if fault == Fault::MailApart {
            self.half.mail.push((to, mail));
        } else {
            self.put(to, mail);
        }
    }

    fn put(&mut self, to: usize, mail: Mail) {
        self.inboxes[to].push(mail);
        self.inboxes[to].sort_by_key(|mail| mail.from);
    }
}

impl Wish {
    /// Its bit among the wishes that were made; a wish that does no harm twice has none.
    fn bit(self) -> u16 {
        WISHES.iter().position(|wish| *wish == self).map_or(0, |at| 1 << at)
    }
}
