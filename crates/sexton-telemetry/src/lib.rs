//! Tells: a host's logs, metrics and traces, to people and to what they watch with.
//!
//! A host says what happens through `tracing` and counts what it does
//! ([`Host::figures`](sexton::Host::figures), [`Host::tally`](sexton::Host::tally),
//! [`Host::count`](sexton::Host::count)), whoever listens. This crate is for programs that have no
//! listener yet: [`logs`] installs one, [`Metrics`] reads a host, and the features carry what was read
//! further. What every metric, span and log line is called, and what to alert on, is in
//! `docs/observability.md`.
//!
//! Nothing in here is between a message and its turn: who does not use it pays nothing for it.
//!
//! | feature | adds |
//! |---|---|
//! | `prometheus` | `Metrics::render`: the text that Prometheus reads |
//! | `opentelemetry` | `otlp`: metrics and traces to a collector |

pub mod logs;
pub mod catalog;
mod metrics;
#[cfg(feature = "prometheus")]
pub mod prometheus;
#[cfg(feature = "opentelemetry")]
pub mod otlp;

pub use metrics::{Family, Metrics, Point, RECORDS_MAX, Value};

/// The page about observability: its code is compiled.
#[cfg(all(doctest, feature = "prometheus", feature = "opentelemetry"))]
#[doc = include_str!("../../../docs/observability.md")]
pub mod page {}
