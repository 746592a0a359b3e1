//! Seeds of the scripted actors: they keep every promise, and are the same twice.
//!
//! That a broken promise is seen is shown by breaking the runtime: `tests/mutations.sh --seeds`.

use sexton_sim::{Faults, Plan, Probes, Run, Step, replay, run};

fn of_seed(seed: u64, plan: Plan) -> (Run, Vec<String>) {
    let mut lines = Vec::new();
    let result = run(&mut Probes::new(), seed, plan, &mut |line| lines.push(line.to_string()));
    (result, lines)
}

#[test]
fn seeds_of_the_scripted_actors_keep_every_promise() {
    // As many as `.ci/run` looks at in a release build.
    for seed in 1..=200 {
        let (result, lines) = of_seed(seed, Plan::default());
        let last = lines.last().cloned().unwrap_or_default();
        assert!(result.is_clean(), "seed {seed}: {:?} after {last}", result.failure);
    }
}

#[test]
fn what_can_happen_does() {
    let mut done: std::collections::BTreeMap<String, u64> = std::collections::BTreeMap::new();
    for seed in 1..=60 {
        for step in of_seed(seed, Plan::default()).0.steps {
            let words: Vec<String> = step.to_string().split(' ').map(str::to_owned).collect();
            let is_fate = words[0] == "begin";
            let kind = if is_fate { words[2].clone() } else { words[0].clone() };
            *done.entry(kind).or_default() += 1;
        }
    }
    let all = "ask take turn hand slice slow done lost transient permanent twice late answer flush fail-flush \
               crash fail-read ghost wait jump evict switch upgrade";
    for kind in all.split_whitespace() {
        assert!(done.get(kind).is_some_and(|n| *n >= 5), "{kind} in {done:?}");
    }
}

#[test]
fn the_same_seed_is_the_same_run_and_another_is_another() {
    let (one, lines) = of_seed(7, Plan::default());
    let (again, same) = of_seed(7, Plan::default());
    assert_eq!((&one.hash, &one.steps, &lines), (&again.hash, &again.steps, &same));
    assert_ne!(one.hash, of_seed(8, Plan::default()).0.hash);
}

#[test]
fn a_run_is_its_steps_and_needs_no_chance() {
    let (one, lines) = of_seed(9, Plan::default());
    let texts: Vec<String> = one.steps.iter().map(Step::to_string).collect();
    let steps: Vec<Step> = texts.iter().map(|text| text.parse().expect("a step")).collect();
    let mut same = Vec::new();
    let again =
        replay(&mut Probes::new(), one.parts, &steps, &mut |line| same.push(line.to_string()));
    assert_eq!((again.hash, same), (one.hash, lines));
}

#[test]
fn without_faults_nothing_fails_and_nothing_ends() {
    let plan = Plan { faults: Faults::NONE, ..Plan::default() };
    let (result, lines) = of_seed(3, plan);
    assert!(result.is_clean());
    assert!(!lines.iter().any(|line| line.contains("survive")), "no process ends");
}

sexton::lifecycle! {
    /// What it can be.
    pub enum Bads {
        /// It is there.
        There = "there" [] => [],
    }
}

#[derive(serde::Serialize, serde::Deserialize)]
struct Bad;

impl sexton::Actor for Bad {
    const KIND: &'static str = "bad";
    type Init = ();
    type Status = Bads;
    type Deadline = ();
    type Effect = ();
    type Answer = ();

    fn create(_init: (), _turn: &mut sexton::Turn<Self>) -> Result<Self, sexton::Refusal> {
        Ok(Self)
    }

    fn handlers(_on: &mut sexton::Handlers<Self>) {}

    fn status(&self) -> Bads {
        Bads::There
    }
}

#[test]
fn what_panics_is_found_with_its_seed() {
    let found = sexton_sim::check::<Bad>(|| sexton::Kinds::new().with::<Bad>(), || ())
        .holds("nothing", |_| panic!("by this test"))
        .seed(1)
        .expect_err("it panics");
    assert_eq!((found.seed, found.broken.promise), (1, "panic"));
    assert!(found.broken.why.contains("by this test"), "{found}");
}

#[test]
fn a_check_that_tried_nothing_says_so() {
    let check = sexton_sim::check::<Bad>(|| sexton::Kinds::new().with::<Bad>(), || ());
    assert!(check.run(3).is_ok());
    let nobody = sexton_sim::check::<Bad>(|| sexton::Kinds::new().with::<Bad>(), || ()).names(&[]);
    let found = nobody.run(3).expect_err("there is nobody");
    assert!(found.to_string().contains("no `bad` was ever alive"), "{found}");
}

#[test]
fn a_check_of_a_name_that_is_none_says_so() {
    let check = sexton_sim::check::<Bad>(|| sexton::Kinds::new().with::<Bad>(), || ());
    let found = check.names(&["a", ""]).run(3).expect_err("a name has a letter");
    assert!(found.to_string().contains("name"), "{found}");
}
