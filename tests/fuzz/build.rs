//! Tells the compiler that `cfg(fuzzing)` is no mistake: a build for libFuzzer has it.
#![expect(clippy::print_stdout, reason = "this is how cargo is told something")]

fn main() {
    println!("cargo::rustc-check-cfg=cfg(fuzzing)");
    println!("cargo::rerun-if-changed=build.rs");
}
