//! An owner's credit: what his sandboxes use is taken from it, and at zero they go to sleep.
//!
//! ```text
//! active --> halting --> halted        halting is a debt: it lasts until every sandbox of the
//!    ^----------+-----------+          owner that runs says that it does not any more
//! ```
//!
//! The account knows which sandboxes there are and which of them run, because they tell it. So a
//! halt is over when nobody runs, and not when a flag says that somebody was asked; and one that
//! begins to run although the account is halted makes it halting again.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sexton_core::{
    Actor, ActorId, Deadlines, Handler, Handlers, Message, Refusal, Row, Timestamp, Turn,
};

use crate::caller::authorize_operator;
use crate::due::{self, Expire};
use crate::owner::{AddCredit, SetPlan};
use crate::policy::Policy;
use crate::sandbox::{Halt, Resume, Sandbox, UNITS_PER_CENT};
use crate::senders::{is_from, is_from_parent, only_if};
use crate::sweeps::Bereaved;

/// What an owner pays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Plan {
    /// Nothing: he has what he was given, and halts at zero.
    Free,
    /// By invoice: his credit is not touched.
    Pro,
}

impl Plan {
    /// Its name in rows.
    pub fn name(self) -> &'static str {
        match self {
            Self::Free => "free",
            Self::Pro => "pro",
        }
    }
}

sexton_core::lifecycle! {
    /// What a credit account can be.
    pub enum CreditStatus {
        /// There is credit, or none is needed.
        Active = "active" [] => [Halting, Halted],
        /// There is none, and sandboxes run.
        Halting = "halting" [] => [Active, Halted],
        /// There is none, and no sandbox runs.
        Halted = "halted" [] => [Active, Halting],
    }
}

/// What a credit account begins with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreditInit {
    /// Whose it is.
    pub owner: String,
    /// What he pays.
    pub plan: Plan,
    /// What it begins with, in cents.
    pub cents: u32,
    /// How often a halt asks those again that still run.
    pub halt_retry: Duration,
    /// The sandbox with which it was made.
    pub first: String,
}

impl CreditInit {
    /// A free account, as a policy says.
    pub fn of(owner: &str, first: &str, policy: &Policy) -> Self {
        Self {
            owner: owner.to_owned(),
            plan: Plan::Free,
            cents: policy.credit_start_cents,
            halt_retry: policy.credit_halt_retry,
            first: first.to_owned(),
        }
    }
}

macro_rules! credit_message {
    ($(#[$doc:meta])* $name:ident = $text:literal { $( $(#[$field_doc:meta])* $field:ident: $type:ty, )* }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Serialize, Deserialize)]
        pub struct $name {
            $( $(#[$field_doc])* pub $field: $type, )*
        }

        impl Message for $name {
            const NAME: &'static str = $text;
            type Reply = ();
        }
    };
}

credit_message! {
    /// From the owner: there is a further sandbox.
    Admit = "admit" {
        /// The sandbox.
        sandbox: String,
    }
}
credit_message! {
    /// From the owner: the sandbox is gone, or was never born.
    Discharge = "discharge" {
        /// The sandbox.
        sandbox: String,
    }
}
credit_message! {
    /// From a sandbox: whether it is billed from now on.
    Metered = "metered" {
        /// The sandbox.
        sandbox: String,
        /// Whether it is.
        is_running: bool,
    }
}
credit_message! {
    /// From a sandbox: what it used. Its life and the number are the event's id.
    Debit = "debit" {
        /// The sandbox.
        sandbox: String,
        /// Which of its debits: 1 for the first, no gaps.
        number: u64,
        /// How much, of which [`UNITS_PER_CENT`] are a cent.
        units: u64,
    }
}

/// A sandbox of the owner, from its birth to its tombstone.
///
/// Debits are told apart by the sandbox's life and their number.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Standing {
    is_running: bool,
    /// By life of the name.
    debits: BTreeMap<u32, Debited>,
}

/// Which debits of a life were taken: all up to one, and some beyond it.
///
/// They are numbered without gaps and nearly always arrive in order, so this is one number; what
/// overtook another is remembered until that has come.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Debited {
    all_up_to: u64,
    beyond: BTreeSet<u64>,
}

/// The most debits that are remembered as having overtaken another. Chosen: mail overtakes mail by
/// a few. One that is later than so many others is taken for one that came before.
const BEYOND_MAX: usize = 100;

impl Debited {
    /// Whether it was not taken before.
    fn take(&mut self, number: u64) -> bool {
        if number <= self.all_up_to || !self.beyond.insert(number) {
            return false;
        }
        if self.beyond.len() > BEYOND_MAX {
            self.all_up_to = self.beyond.first().map_or(self.all_up_to, |first| first - 1);
        }
        while self.beyond.remove(&(self.all_up_to + 1)) {
            self.all_up_to += 1;
        }
        true
    }
}

/// The most gifts that an account knows by their names. Chosen: whoever repeats one does so at once,
/// and the state is written anew every turn.
const GIFTS_MAX: usize = 100;
/// The most bytes of a gift's name. Chosen: a UUID is 36.
const GIFT_BYTES_MAX: usize = 64;

/// A credit account.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CreditAccount {
    init: CreditInit,
    plan: Plan,
    status: CreditStatus,
    /// Never below zero.
    units: u64,
    /// All that was ever used, also what nobody had credit for.
    used_units: u64,
    sandboxes: BTreeMap<String, Standing>,
    /// The names of what was added last, oldest first.
    gifts: VecDeque<String>,
    /// Halts so far.
    round: u64,
    /// When those that run were asked last.
    asked_at: Timestamp,
}

impl CreditAccount {
    fn is_spent(&self) -> bool {
        match self.plan {
            Plan::Free => self.units == 0,
            Plan::Pro => false,
        }
    }

    fn n_running(&self) -> usize {
        self.sandboxes.values().filter(|standing| standing.is_running).count()
    }

    /// Makes the status what credit and sandboxes say.
    fn settle(&mut self, turn: &mut Turn<Self>) {
        match (self.status, self.is_spent()) {
            (CreditStatus::Active, true) => {
                self.round += 1;
                turn.event("halted", format!("halt {}: no credit is left", self.round));
                // All of them: who does not run now must not begin to.
                self.ask(|_| true, turn);
                self.status = CreditStatus::Halting;
            }
            (CreditStatus::Halting | CreditStatus::Halted, false) => {
                turn.event("resumed", format!("halt {} is over", self.round));
                let round = self.round;
                for sandbox in self.sandboxes.keys().filter_map(|name| id(name)) {
                    turn.send::<Sandbox, _>(&sandbox, &Resume { round });
                }
                self.status = CreditStatus::Active;
            }
            (CreditStatus::Active, false)
            | (CreditStatus::Halting | CreditStatus::Halted, true) => {}
        }
        match (self.status, self.n_running()) {
            (CreditStatus::Halting, 0) => self.status = CreditStatus::Halted,
            (CreditStatus::Halted, 1..) => {
                self.ask(|standing| standing.is_running, turn);
                self.status = CreditStatus::Halting;
            }
            (CreditStatus::Active | CreditStatus::Halting | CreditStatus::Halted, _) => {}
        }
    }

    fn ask(&mut self, whom: impl Fn(&Standing) -> bool, turn: &mut Turn<Self>) {
        self.asked_at = turn.now();
        let round = self.round;
        let asked = self.sandboxes.iter().filter(|(_, standing)| whom(standing));
        for sandbox in asked.filter_map(|(name, _)| id(name)) {
            turn.send::<Sandbox, _>(&sandbox, &Halt { round });
        }
    }

    fn due(&self) -> Option<Timestamp> {
        match self.status {
            CreditStatus::Halting => Some(self.asked_at + self.init.halt_retry),
            CreditStatus::Active | CreditStatus::Halted => None,
        }
    }

    /// Asks those again that run still: the halt is owed until none does.
    fn ask_again(&mut self, turn: &mut Turn<Self>) {
        self.ask(|standing| standing.is_running, turn);
    }
}

fn id(sandbox: &str) -> Option<ActorId> {
    ActorId::new(Sandbox::KIND, sandbox).ok()
}

impl Actor for CreditAccount {
    const KIND: &'static str = "credit";
    type Init = CreditInit;
    type Status = CreditStatus;
    type Deadline = ();
    type Effect = ();
    type Answer = ();

    fn create(init: Self::Init, turn: &mut Turn<Self>) -> Result<Self, Refusal> {
        let first = init.first.clone();
        let mut account = Self {
            plan: init.plan,
            status: CreditStatus::Active,
            units: u64::from(init.cents) * UNITS_PER_CENT,
            used_units: 0,
            sandboxes: [(first, Standing::default())].into_iter().collect(),
            gifts: VecDeque::new(),
            round: 0,
            asked_at: turn.now(),
            init,
        };
        account.settle(turn);
        Ok(account)
    }

    fn handlers(on: &mut Handlers<Self>) {
        on.message::<Bereaved>();
        on.message::<Admit>().message::<Discharge>().message::<Metered>().message::<Debit>();
        on.message::<AddCredit>().message::<SetPlan>().message::<Expire>();
    }

    fn status(&self) -> Self::Status {
        self.status
    }

    fn row(&self) -> Row {
        let cents = |units: u64| i64::try_from(units / UNITS_PER_CENT).unwrap_or(i64::MAX);
        let row = Row::owned_by(&self.init.owner)
            .text("plan", self.plan.name())
            .number("cents", cents(self.units))
            .number("used_cents", cents(self.used_units))
            .number("running", i64::try_from(self.n_running()).unwrap_or(i64::MAX));
        due::shown(row, self.due().map(|at| (at, "halt")))
    }

    fn deadlines(&self, due: &mut Deadlines<Self::Deadline>) {
        if let Some(at) = self.due() {
            due.at(at, ());
        }
    }

    fn on_deadline(&mut self, _due: (), turn: &mut Turn<Self>) -> Result<(), Refusal> {
        self.ask_again(turn);
        Ok(())
    }
}

impl Handler<Expire> for CreditAccount {
    fn handle(&mut self, message: Expire, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        if self.due().is_none_or(|at| at > turn.now()) {
            return Err(Refusal::new(format!("nothing is due: {}", message.why)));
        }
        self.ask_again(turn);
        Ok(())
    }
}

impl Handler<Admit> for CreditAccount {
    fn handle(&mut self, message: Admit, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        only_if(is_from_parent(turn))?;
        self.sandboxes.entry(message.sandbox.clone()).or_default();
        let is_halted = self.status != CreditStatus::Active;
        if let Some(sandbox) = id(&message.sandbox).filter(|_| is_halted) {
            turn.send::<Sandbox, _>(&sandbox, &Halt { round: self.round });
        }
        Ok(())
    }
}

impl Handler<Discharge> for CreditAccount {
    fn handle(&mut self, message: Discharge, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        only_if(is_from_parent(turn))?;
        self.sandboxes.remove(&message.sandbox);
        self.settle(turn);
        Ok(())
    }
}

impl Handler<Metered> for CreditAccount {
    fn handle(&mut self, message: Metered, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        only_if(is_from::<Sandbox, _>(&message.sandbox, turn))?;
        if let Some(standing) = self.sandboxes.get_mut(&message.sandbox) {
            let is_new = message.is_running && !standing.is_running;
            standing.is_running = message.is_running;
            // One that begins to run while others are still asked is asked with them, at once.
            if let Some(sandbox) = id(&message.sandbox)
                && is_new
                && self.status == CreditStatus::Halting
            {
                turn.send::<Sandbox, _>(&sandbox, &Halt { round: self.round });
            }
            self.settle(turn);
        }
        Ok(())
    }
}

impl Handler<Debit> for CreditAccount {
    /// Each counts once, in whatever order they come.
    fn handle(&mut self, message: Debit, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        only_if(is_from::<Sandbox, _>(&message.sandbox, turn))?;
        let Debit { sandbox, number, units } = message;
        let Some(standing) = self.sandboxes.get_mut(&sandbox) else {
            return Err(Refusal::new(format!("sandbox {sandbox} is not on this account")));
        };
        let life = turn.from().map_or(0, |from| from.incarnation);
        if !standing.debits.entry(life).or_default().take(number) {
            return Ok(());
        }
        self.used_units = self.used_units.saturating_add(units);
        if self.plan == Plan::Free {
            self.units = self.units.saturating_sub(units);
        }
        self.settle(turn);
        Ok(())
    }
}

impl Handler<AddCredit> for CreditAccount {
    fn handle(&mut self, message: AddCredit, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        authorize_operator(&message.caller, (&self.init.owner, AddCredit::NAME), turn)?;
        if message.gift.is_empty() || message.gift.len() > GIFT_BYTES_MAX {
            let why = format!("a gift has a name of 1 to {GIFT_BYTES_MAX} bytes");
            return Err(Refusal::new(why));
        }
        if self.gifts.contains(&message.gift) {
            return Ok(());
        }
        if self.gifts.len() >= GIFTS_MAX {
            self.gifts.pop_front();
        }
        self.gifts.push_back(message.gift);
        let units = u64::from(message.cents).saturating_mul(UNITS_PER_CENT);
        self.units = self.units.saturating_add(units);
        turn.event("credited", format!("{} cents", message.cents));
        self.settle(turn);
        Ok(())
    }
}

impl Handler<SetPlan> for CreditAccount {
    fn handle(&mut self, message: SetPlan, turn: &mut Turn<Self>) -> Result<(), Refusal> {
        authorize_operator(&message.caller, (&self.init.owner, SetPlan::NAME), turn)?;
        self.plan = message.plan;
        turn.event("plan", message.plan.name());
        self.settle(turn);
        Ok(())
    }
}
