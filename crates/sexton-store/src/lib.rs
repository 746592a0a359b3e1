//! Remembers: the stores, their byte format, and the suite that proves a store honest.
