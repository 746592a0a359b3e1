//! What an operator commands is recorded by whoever takes it.

use sexton_core::What;

use crate::Caller;

use super::harness::Fleet;
use super::harness_leaks::{every_message, one_of_each};

#[test]
fn what_an_operator_commands_is_recorded_by_whoever_takes_it() {
    let commands: Vec<_> = every_message().into_iter().filter(|said| said.is_command).collect();
    let mut taken = std::collections::BTreeMap::<&str, usize>::new();
    for said in commands {
        let mut fleet = Fleet::new();
        let each = one_of_each(&mut fleet);
        let (to, since) = (&each[said.kind], fleet.events.len());
        if (said.call)(&mut fleet, to, Caller::operator("olga")).is_err() {
            continue;
        }
        *taken.entry(said.kind).or_default() += 1;
        let text = format!("olga {}", said.name);
        let mut of_it = fleet.events[since..].iter().filter(|event| event.actor == *to);
        let is_said = |what: &What| matches!(what, What::Fact { name, text: it } if name == "operator" && *it == text);
        assert!(of_it.any(|event| is_said(&event.what)), "{} to {to}", said.name);
    }
    // What their state refuses is not counted; of each kind that is commanded something is taken.
    for kind in ["owner", "node", "workspace", "task", "town", "sandbox", "credit"] {
        assert!(taken.contains_key(kind), "{kind} in {taken:?}");
    }
    assert!(taken.values().sum::<usize>() >= 30, "{taken:?}");
}
