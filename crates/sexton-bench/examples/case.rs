//! Measures one case, for a profiler: `perf record cargo run --release --example case -- inc-1-256`.
//!
//! `sexton bench` is what people want; this is quick to build again.

use sexton_bench::{BenchError, Measured, Place, cases};

fn main() -> Result<(), BenchError> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let place = Place::new(&std::env::temp_dir(), 1)?;
    for case in cases().iter().filter(|case| arguments.iter().any(|it| it == case.name)) {
        let mut runs = Vec::new();
        for _ in 0..3 {
            let pairs = case.measure(&place)?;
            runs.extend(pairs.into_iter().filter(|(name, _)| *name == case.name).map(|it| it.1));
        }
        let measured = Measured::new(case, runs);
        #[expect(clippy::print_stdout, reason = "this is what it is for")]
        {
            println!("{}: {:.0} beside {:.0}", case.name, measured.ours, measured.held_against);
            for also in measured.also() {
                println!("  {} {:.1}", also.name, also.value);
            }
        }
    }
    Ok(())
}
