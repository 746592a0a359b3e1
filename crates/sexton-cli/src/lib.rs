//! Shows: replay, and what a store holds.
//!
//! ```text
//! TRACE... --> trace --> replay --> report, series --> summary, html
//!                            |
//!                            +--> progress
//! ```

pub mod args;
pub mod trace;
pub mod replay;
pub mod check;
pub mod inspect;
pub mod sim;
pub mod bench;
pub mod generate;
pub mod series;
pub mod report;
mod figures;
mod html;
pub mod summary;
pub mod progress;
