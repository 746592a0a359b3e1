//! A minute of chaos leaves nothing behind; what it does and looks for stands in
//! `examples/chaos.rs`. The one test of this workspace that takes a minute on purpose.

use std::path::Path;
use std::process::Command;

#[test]
fn a_minute_of_chaos_leaves_nothing_behind() {
    let test = std::env::current_exe().unwrap();
    let built = test.parent().and_then(Path::parent).unwrap();
    let program = built.join("examples").join("chaos");
    assert!(program.exists(), "first: cargo build --package sexton-examples --examples");
    // The same troubles every time; what is rare is found by long runs by hand, with other seeds.
    let done = Command::new(program).args(["--minutes", "1", "--seed", "1"]).output().unwrap();
    let (said, failed) = (done.stdout, done.stderr);
    let (said, failed) = (String::from_utf8_lossy(&said), String::from_utf8_lossy(&failed));
    println!("{said}\n{failed}");
    assert!(done.status.success(), "{said}\n{failed}");
    assert!(said.contains("left over: 0"), "{said}");
    for kind in ["control plane: SIGKILL", "agent: SIGKILL", "tasks: completed"] {
        assert!(said.contains(kind), "nothing was tried: {said}");
    }
}
