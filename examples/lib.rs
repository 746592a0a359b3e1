//! The package of the examples: the guide's actor for the code on the pages, and the pages
//! themselves, so that all code in them is compiled and run.

/// The guide's actor, its sweep and its performer, as the pages use them.
pub mod guide;

/// The README of the workspace: its example compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub mod readme {}

/// The README of the examples.
#[cfg(doctest)]
#[doc = include_str!("README.md")]
pub mod examples {}

/// The guide.
#[cfg(doctest)]
#[doc = include_str!("../docs/guide.md")]
pub mod the_guide {}

/// Durable Objects, concept by concept.
#[cfg(doctest)]
#[doc = include_str!("../docs/durable-objects.md")]
pub mod durable_objects {}

/// Kubernetes, Orleans, Temporal.
#[cfg(doctest)]
#[doc = include_str!("../docs/coming-from.md")]
pub mod coming_from {}
