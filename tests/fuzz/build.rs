//! Tells the compiler that `cfg(fuzzing)` is no mistake: a build for libFuzzer has it.

fn main() {
    println!("cargo::rustc-check-cfg=cfg(fuzzing)");
    println!("cargo::rerun-if-changed=build.rs");
}
