//! The package of the examples; here only so that the code in the READMEs is compiled and run.

/// The README of the workspace: its example compiles.
#[doc = include_str!("../README.md")]
pub mod readme {}

/// The README of the examples.
#[doc = include_str!("README.md")]
pub mod examples {}
