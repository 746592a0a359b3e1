//! Doubts: virtual time, seeds, crashes, verdicts.
