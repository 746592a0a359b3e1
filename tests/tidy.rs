//! Rules that no lint can see.
fn main() {}
