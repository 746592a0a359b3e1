//! Metrics of a real host on a store on disk, after work of every sort: each has the value that the
//! work implies, and the page and the dashboard say what is really there.
//!
//! Method: a clock that the test sets, a store whose flushes can be held, and waits on a condition
//! with a bound. What is compared is the text that Prometheus would read.

mod metrics;
mod page;
mod support;
