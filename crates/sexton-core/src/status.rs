//! The table of a lifecycle: which status may follow which, and what each means for the world.

use std::fmt::Debug;

/// What a status means for the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// An actor that has it holds something in the outside world.
    Holds,
    /// Somebody pays while an actor has it.
    Billable,
    /// It is an end in itself: nothing follows, and nothing has to.
    Terminal,
}

/// A status of an actor, with its row in the table of the lifecycle.
///
/// The runtime compares the status before and after every turn: a transition that the table
/// lacks refuses the turn, one that it has is published as an event in the same commit, and a
/// terminal status is never left. Write it with [`lifecycle!`](crate::lifecycle).
pub trait Status: Copy + Eq + Debug + 'static {
    /// Every status, in the order of the table.
    const ALL: &'static [Self];

    /// Its name in rows, events and queries.
    fn name(self) -> &'static str;

    /// The statuses that may follow. Where none may, destroy is the only end, unless it is
    /// terminal.
    fn next(self) -> &'static [Self];

    /// What it means for the world.
    fn marks(self) -> &'static [Mark];

    /// Whether an actor with this status holds something in the outside world.
    fn holds_resources(self) -> bool {
        self.marks().contains(&Mark::Holds)
    }

    /// Whether somebody pays while an actor has this status.
    fn is_billable(self) -> bool {
        self.marks().contains(&Mark::Billable)
    }

    /// Whether it is an end in itself: nothing follows, and nothing has to.
    fn is_terminal(self) -> bool {
        self.marks().contains(&Mark::Terminal)
    }

    /// Whether `to` may follow; the same status always may.
    fn may_become(self, to: Self) -> bool {
        self == to || self.next().contains(&to)
    }
}

/// Declares a lifecycle as its table.
///
/// Each line is a status, its name, its marks in brackets (`holds`: it holds something in the
/// outside world; `billable`: somebody pays for it; `terminal`: it is an end in itself) and the
/// statuses that may follow. A status that is not terminal and that nothing follows is left by
/// destroy only. Every status has a name of its own, and none is `destroying`.
///
/// What it makes derives `serde`'s traits: the crate that uses it depends on `serde` with its
/// feature `derive`.
///
/// Another mark does not compile:
///
/// ```compile_fail
/// sexton_core::lifecycle! {
///     enum Lamp { /** Dark. */ Dark = "dark" [hold] => [] }
/// }
/// ```
///
/// # Example
///
/// ```
/// sexton_core::lifecycle! {
///     /// What a lamp can be.
///     pub enum Lamp {
///         /// Nobody has switched it on.
///         Dark = "dark" [] => [Lit],
///         /// It burns.
///         Lit = "lit" [holds billable] => [Dark, Broken],
///         /// It will not burn again.
///         Broken = "broken" [terminal] => [],
///     }
/// }
/// use sexton_core::Status;
///
/// assert!(Lamp::Dark.may_become(Lamp::Lit));
/// assert!(!Lamp::Dark.may_become(Lamp::Broken));
/// assert!(Lamp::Broken.is_terminal() && Lamp::Lit.is_billable());
/// ```
#[macro_export]
macro_rules! lifecycle {
    (
        $(#[$meta:meta])*
        $vis:vis enum $name:ident {
            $(
                $(#[$status_meta:meta])*
                $status:ident = $text:literal [$($mark:ident)*] => [$($next:ident),* $(,)?]
            ),+ $(,)?
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        #[derive(::serde::Serialize, ::serde::Deserialize)]
        $vis enum $name {
            $( $(#[$status_meta])* $status ),+
        }

        impl $crate::Status for $name {
            const ALL: &'static [Self] = &[$(Self::$status),+];

            fn name(self) -> &'static str {
                match self { $( Self::$status => $text ),+ }
            }

            fn next(self) -> &'static [Self] {
                match self { $( Self::$status => &[$(Self::$next),*] ),+ }
            }

            fn marks(self) -> &'static [$crate::Mark] {
                match self { $( Self::$status => &[$($crate::lifecycle_mark!($mark)),*] ),+ }
            }
        }
    };
}

/// A mark of a status; any other word does not compile.
#[doc(hidden)]
#[macro_export]
macro_rules! lifecycle_mark {
    (holds) => {
        $crate::Mark::Holds
    };
    (billable) => {
        $crate::Mark::Billable
    };
    (terminal) => {
        $crate::Mark::Terminal
    };
}
