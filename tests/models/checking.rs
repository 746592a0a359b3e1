//! Walking through all states of a story, and what was found on the way.
//!
//! `stateright` walks breadth first on one thread, so what it finds first is found on a shortest
//! way. Of each promise only the first breach is reported to it: it would keep the latest.
//!
//! That something is reached at last is not asked of it (its `eventually` overlooks circles).
//! Every step is written down instead, and when the walk is over they are followed backwards from
//! where all is over: a state from which no way leads there by the story's own steps is stuck.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Mutex, MutexGuard};

use stateright::{Checker, HasDiscoveries, Model, Path, Property};

/// What a story says of itself. Two lists of names, each with at most [`NAMES_MAX`].
pub(crate) trait Story: Send + Sync + 'static {
    /// All that matters at a moment.
    type State: Clone + Debug + PartialEq + Hash + Send + Sync;
    /// What may happen next.
    type Action: Clone + Debug + PartialEq;
    /// What holds in every state.
    const PROMISES: &'static [&'static str];

    /// What is seen in some state: else the story is too small for its promises.
    fn sights(&self) -> &'static [&'static str];
    /// Where it begins.
    fn start(&self) -> Self::State;
    /// All that may happen next.
    fn actions(&self, state: &Self::State) -> Vec<Self::Action>;
    /// What follows; `None` if nothing changes.
    fn next(&self, state: &Self::State, action: &Self::Action) -> Option<Self::State>;
    /// Whether the state keeps the promise with this name.
    fn keeps(&self, promise: &str, state: &Self::State) -> bool;
    /// Whether what has this name is to be seen in the state.
    fn shows(&self, sight: &str, state: &Self::State) -> bool;
    /// Whether the state is to end, whether it has ended.
    fn end(&self, _state: &Self::State) -> (bool, bool) {
        (false, false)
    }
    /// The action in words.
    fn say(&self, state: &Self::State, action: &Self::Action) -> String;
    /// What is wrong with a state that breaks the promise, if more can be said of it.
    fn why(&self, _promise: &str, _state: &Self::State) -> String {
        String::new()
    }
    /// Whether the action is the story's own: neither somebody's wish nor a fault.
    fn is_own(&self, _action: &Self::Action) -> bool {
        false
    }
}

/// The most promises or sights of a story. Chosen: each is a function of its own below.
const NAMES_MAX: usize = 8;

/// What a whole walk found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Walk {
    /// States that differ.
    pub(crate) states: usize,
    /// Steps from one to another.
    pub(crate) steps: usize,
    /// Steps on the longest of all shortest ways.
    pub(crate) depth: usize,
    /// States that are to end, and from which no way leads to the end.
    pub(crate) stuck: usize,
}

/// Walks through all states. Every promise is kept, and every sight is seen.
pub(crate) fn walk<S: Story>(story: S) -> Walk {
    let walked = Walked::new(story).checker().finish_when(HasDiscoveries::AnyFailures);
    let checker = walked.spawn_bfs().join();
    let found = checker.discoveries();
    for promise in S::PROMISES {
        if let Some(path) = found.get(promise) {
            panic!("{}", told(checker.model(), promise, path).0);
        }
    }
    for sight in checker.model().story.sights() {
        assert!(found.contains_key(sight), "never seen: {sight}");
    }
    let graph = locked(&checker.model().graph);
    Walk {
        states: checker.unique_state_count(),
        steps: checker.state_count() - 1,
        depth: checker.max_depth() - 1,
        stuck: graph.stuck(),
    }
}

/// Walks until the promise is broken, and says the shortest way there, a step a line.
pub(crate) fn breach<S: Story>(story: S, promise: &'static str) -> Vec<String> {
    assert!(S::PROMISES.contains(&promise), "no promise is called {promise}");
    let until = HasDiscoveries::AllOf(BTreeSet::from([promise]));
    let checker = Walked::new(story).checker().finish_when(until).spawn_bfs().join();
    let Some(path) = checker.discovery(promise) else {
        panic!("{promise}: kept in all {} states", checker.unique_state_count());
    };
    let (text, trace) = told(checker.model(), promise, &path);
    println!("{text}");
    trace
}

/// A way to a breach in words, as a text and step by step.
fn told<S: Story>(
    model: &Walked<S>,
    promise: &str,
    path: &Path<S::State, S::Action>,
) -> (String, Vec<String>) {
    let story = &model.story;
    let way = path.clone().into_vec().into_iter();
    let trace: Vec<String> =
        way.filter_map(|(state, action)| Some(story.say(&state, &action?))).collect();
    let why = story.why(promise, path.last_state());
    (format!("broken: {promise}\n  {}\n{why}", trace.join("\n  ")), trace)
}

/// How many states are stuck, whatever else is broken.
pub(crate) fn stuck<S: Story>(story: S) -> usize {
    let checker = Walked::new(story).checker().spawn_bfs().join();
    locked(&checker.model().graph).stuck()
}

/// A story as the checker knows it.
struct Walked<S> {
    story: S,
    /// What was reported already, by name.
    told: Mutex<BTreeSet<&'static str>>,
    graph: Mutex<Graph>,
}

/// The steps of a story, by the hashes of states.
#[derive(Default)]
struct Graph {
    /// The story's own steps, from where to where.
    steps: Vec<(u64, u64)>,
    /// States that are to end and have not.
    open: BTreeSet<u64>,
    /// States where all is over.
    over: Vec<u64>,
}

impl Graph {
    fn stuck(&self) -> usize {
        let mut back: Vec<(u64, u64)> = self.steps.iter().map(|(from, to)| (*to, *from)).collect();
        back.sort_unstable();
        let (mut reached, mut next) = (BTreeSet::new(), self.over.clone());
        while let Some(state) = next.pop() {
            if !reached.insert(state) {
                continue;
            }
            let begin = back.partition_point(|(to, _)| *to < state);
            next.extend(back[begin..].iter().take_while(|(to, _)| *to == state).map(|it| it.1));
        }
        self.open.difference(&reached).count()
    }
}

impl<S: Story> Walked<S> {
    fn new(story: S) -> Self {
        assert!(S::PROMISES.len().max(story.sights().len()) <= NAMES_MAX, "too many names");
        Self { story, told: Mutex::default(), graph: Mutex::default() }
    }

    /// Whether a breach or a sight is the first with its name.
    fn is_news(&self, name: &'static str) -> bool {
        locked(&self.told).insert(name)
    }
}

fn promise<S: Story, const N: usize>(model: &Walked<S>, state: &S::State) -> bool {
    let name = S::PROMISES[N];
    model.story.keeps(name, state) || !model.is_news(name)
}

fn sight<S: Story, const N: usize>(model: &Walked<S>, state: &S::State) -> bool {
    let name = model.story.sights()[N];
    model.story.shows(name, state) && model.is_news(name)
}

/// A promise or a sight as the checker wants it: a function without surroundings.
type Condition<S> = fn(&Walked<S>, &<S as Story>::State) -> bool;

impl<S: Story> Model for Walked<S> {
    type State = S::State;
    type Action = S::Action;

    fn init_states(&self) -> Vec<S::State> {
        vec![self.story.start()]
    }

    fn actions(&self, state: &S::State, actions: &mut Vec<S::Action>) {
        let (is_to_end, is_over) = self.story.end(state);
        if is_over {
            locked(&self.graph).over.push(hash(state));
        } else if is_to_end {
            locked(&self.graph).open.insert(hash(state));
        }
        actions.extend(self.story.actions(state));
    }

    fn next_state(&self, last_state: &S::State, action: S::Action) -> Option<S::State> {
        let next = self.story.next(last_state, &action).filter(|next| next != last_state)?;
        if self.story.is_own(&action) {
            locked(&self.graph).steps.push((hash(last_state), hash(&next)));
        }
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let promises: [Condition<S>; NAMES_MAX] = [
            promise::<S, 0>,
            promise::<S, 1>,
            promise::<S, 2>,
            promise::<S, 3>,
            promise::<S, 4>,
            promise::<S, 5>,
            promise::<S, 6>,
            promise::<S, 7>,
        ];
        let sights: [Condition<S>; NAMES_MAX] = [
            sight::<S, 0>,
            sight::<S, 1>,
            sight::<S, 2>,
            sight::<S, 3>,
            sight::<S, 4>,
            sight::<S, 5>,
            sight::<S, 6>,
            sight::<S, 7>,
        ];
        let promises =
            S::PROMISES.iter().zip(promises).map(|(name, it)| Property::always(name, it));
        let sights =
            self.story.sights().iter().zip(sights).map(|(name, it)| Property::sometimes(name, it));
        promises.chain(sights).collect()
    }
}

fn hash<T: Hash>(state: &T) -> u64 {
    let mut hasher = DefaultHasher::new();
    state.hash(&mut hasher);
    hasher.finish()
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("nobody panics with this lock")
}
