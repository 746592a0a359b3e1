//! What holds of the engine in every state: G6, G7, G8 and G10, and the halves of G2 and G4 that
//! have no time in them. Two trees, because one in which everything happens has too many states.
//!
//! Seen to fail with the engine broken by hand, one breakage at a time (`docs/models.md` has the
//! list, and how many steps each takes): in `destruction.rs` burial that does not wait for
//! children or debts, does not tell the parent, leaves the row or the link, or drops births; in
//! `mail.rs` an end that counts for another child, for one never born, or for a later birth; in
//! `turns.rs` a birth over a tombstone, or without its link; in `settle.rs` a release that a
//! permanent failure settles; in `draft.rs` mail that is not taken out.

use super::{
    AUDIT, ENDS, Fault, KEPT, LETTERS, NO_DEBT, NO_ORPHAN, NO_RESURRECTION, Runtime, Wish,
};
use crate::checking::{Walk, breach, stuck, walk};

/// A tree of three, with effects and a message.
const fn tree(fault: Fault) -> Runtime {
    let wishes =
        &[Wish::BegetChild, Wish::BegetGrand, Wish::Note, Wish::DestroyRoot, Wish::DestroyChild];
    let sights = &[
        "the whole tree is gone",
        "a child is born while its parent is being destroyed",
        "the message was taken",
        "the message is a dead letter",
        "an effect is done and its answer lost",
    ];
    Runtime(fault, wishes, sights)
}

/// Two children, of which one is born twice and the other one's name is wanted by others.
const fn names(fault: Fault) -> Runtime {
    let wishes = &[
        Wish::BegetChild,
        Wish::BegetChildAgain,
        Wish::BegetLate,
        Wish::CreateLate,
        Wish::CreateRoot,
        Wish::DestroyRoot,
        Wish::DestroyChild,
        Wish::DestroyLate,
    ];
    let sights = &[
        "the whole tree is gone",
        "the name is somebody else's",
        "a child is born while its parent is being destroyed",
        "a child is destroyed by itself and born again in vain",
        "a deadline is due while the parent is being destroyed",
    ];
    Runtime(fault, wishes, sights)
}

#[test]
fn the_engine_ends_a_tree_with_what_it_owes_and_what_was_sent_to_it() {
    let found = walk(tree(Fault::None));
    assert_eq!(found, Walk { states: 19_510, steps: 80_619, depth: 32, stuck: 0 });
}

#[test]
fn the_engine_ends_a_tree_whose_names_are_wanted_twice() {
    let found = walk(names(Fault::None));
    assert_eq!(found, Walk { states: 34_235, steps: 116_539, depth: 40, stuck: 0 });
}

/// A store or a host that breaks its word, and the shortest way to see it.
mod controls {
    use super::*;

    #[test]
    fn a_store_that_loses_links_lets_a_child_outlive() {
        assert_eq!(
            breach(tree(Fault::LosesLinks), NO_ORPHAN),
            [
                "BegetChild",
                "flush",
                "child takes mail of root",
                "flush",
                "DestroyRoot",
                "flush",
                "root takes its mail"
            ]
        );
    }

    #[test]
    fn a_store_that_loses_links_fails_the_audit() {
        assert_eq!(
            breach(tree(Fault::LosesLinks), AUDIT),
            ["BegetChild", "flush", "child takes mail of root"]
        );
    }

    #[test]
    fn a_store_that_tears_batches_keeps_a_tree_for_ever() {
        assert_eq!(
            breach(tree(Fault::TornBatch), ENDS),
            [
                "time passes",
                "BegetChild",
                "flush",
                "DestroyRoot",
                "flush",
                "root takes its mail",
                "flush"
            ]
        );
        assert!(stuck(tree(Fault::TornBatch)) > 0);
    }

    #[test]
    fn a_store_that_tears_batches_loses_a_message() {
        assert_eq!(breach(tree(Fault::TornBatch), LETTERS), ["Note"]);
    }

    #[test]
    fn a_store_that_forgets_a_flush_breaks_what_was_told() {
        assert_eq!(breach(tree(Fault::DropsFlushed), KEPT), ["DestroyRoot", "flush", "crash"]);
    }

    #[test]
    fn a_store_that_forgets_a_flush_brings_somebody_back() {
        assert_eq!(
            breach(tree(Fault::DropsFlushed), NO_RESURRECTION),
            ["DestroyRoot", "flush", "root takes its mail", "flush", "crash"]
        );
    }

    #[test]
    fn an_effect_before_its_debt_is_durable_leaves_something_outside() {
        assert_eq!(
            breach(tree(Fault::NoGate), NO_DEBT),
            [
                "BegetChild",
                "flush",
                "child takes mail of root",
                "flush",
                "BegetGrand",
                "flush",
                "grand takes mail of child",
                "grand is served: Done"
            ]
        );
    }
}
