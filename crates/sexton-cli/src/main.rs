//! Shows: replay, and what a store holds.

fn main() {}
