//! Seeds of the scripted actors.

use sexton_sim::{Plan, Probes, run, shrink};

#[test]
fn seeds_of_the_scripted_actors_keep_every_promise() {
    for seed in 0..200 {
        let made = || -> Box<dyn sexton_sim::Scenario> { Box::new(Probes::new()) };
        let result = run(made().as_mut(), seed, Plan::default(), &mut |_| ());
        if let Some(failure) = &result.failure {
            let shrunk = shrink(&made, &result, 2_000);
            println!("seed {seed}: {failure}");
            if let Some(shrunk) = shrunk {
                println!("{} tries, {}", shrunk.tries, shrunk.failure);
                sexton_sim::replay(made().as_mut(), result.parts, &shrunk.steps, &mut |line| {
                    println!("{line}");
                });
            }
            panic!("seed {seed}");
        }
    }
}
