//! Whether a provider keeps its duties: the same suite for each of them.
//!
//! It makes and deletes a handful of machines, for lives of nodes whose names begin with
//! `conformance-`, in two installations; whoever pays for machines pays for these. It panics at
//! the first duty that is not kept, and then may leave machines behind.

use std::collections::BTreeMap;

use sexton::{ActorId, ActorRef};

use crate::provider::{Made, Order, Provider};

/// Where machines of this suite are made, and how large they are.
#[derive(Clone, Debug)]
pub struct Terms {
    /// A size that the provider has.
    pub size: String,
    /// A location that it has.
    pub location: String,
}

struct Suite<'a, P, F> {
    open: &'a F,
    terms: &'a Terms,
    provider: P,
}

/// A life of a node that is called so.
fn life(name: &str, incarnation: u32) -> ActorRef {
    let id = ActorId::new("node", &format!("conformance-{name}")).expect("a good name");
    ActorRef { id, incarnation }
}

/// Holds a provider to its duties. `open` opens it for an installation, as often as it is asked:
/// what it made before must be there again.
///
/// # Panics
///
/// If a duty is not kept; the message says which.
pub async fn check<P: Provider, F: AsyncFn(&str) -> P>(open: F, terms: &Terms) {
    let provider = open("conformance-ours").await;
    assert_eq!(provider.installation(), "conformance-ours");
    let mut suite = Suite { open: &open, terms, provider };
    suite.unknown().await;
    suite.once().await;
    suite.lives().await;
    suite.others().await;
    suite.gone().await;
}

impl<P: Provider, F: AsyncFn(&str) -> P> Suite<'_, P, F> {
    fn order(&self, owner: ActorRef) -> Order {
        Order { owner, size: self.terms.size.clone(), location: self.terms.location.clone() }
    }

    async fn create(&self, owner: ActorRef) -> Made {
        let made = self.provider.create(&self.order(owner.clone())).await.expect("it is made");
        assert_eq!(made.owner, owner, "duty 2: the machine has its owner");
        made
    }

    async fn delete(&self, owner: &ActorRef) {
        self.provider.delete(owner).await.expect("duty 3: it is deleted, or there is none");
    }

    async fn get(&self, owner: &ActorRef) -> Option<String> {
        let made = self.provider.get(owner).await.expect("it can be looked up");
        made.map(|it| it.machine.id)
    }

    /// The owners of this suite's machines with their ids, by a listing that is whole.
    async fn list(&self) -> BTreeMap<ActorRef, String> {
        let listing = self.provider.list().await.expect("they can be listed");
        assert!(listing.complete, "duty 5: nothing hinders it, so the listing is whole");
        let n_listed = listing.machines.len();
        let listed: BTreeMap<_, _> =
            listing.machines.into_iter().map(|it| (it.owner, it.machine.id)).collect();
        assert_eq!(listed.len(), n_listed, "duty 1: a life has one machine");
        listed
    }

    async fn unknown(&self) {
        let nobody = life("nobody", 1);
        assert_eq!(self.get(&nobody).await, None, "duty 2: what was never made is not found");
        self.delete(&nobody).await;
        assert!(!self.list().await.contains_key(&nobody), "duty 2: nor listed");
    }

    async fn once(&mut self) {
        let owner = life("a", 1);
        let order = self.order(owner.clone());
        let (first, second) =
            tokio::join!(self.provider.create(&order), self.provider.create(&order));
        let (first, second) = (first.expect("it is made"), second.expect("it is found"));
        assert_eq!(first.machine.id, second.machine.id, "duty 1: made at once, it is made once");
        let again = self.create(owner.clone()).await;
        assert_eq!(again, first, "duty 1: made again, it is found");
        self.provider = (self.open)("conformance-ours").await;
        assert_eq!(self.get(&owner).await, Some(first.machine.id.clone()), "duty 6: kept");
        let after = self.create(owner.clone()).await;
        assert_eq!(after.machine.id, first.machine.id, "duties 1 and 6: adopted after a crash");
        assert_eq!(self.list().await.get(&owner), Some(&first.machine.id), "duty 2: listed");
    }

    async fn lives(&self) {
        let (first, second) = (life("a", 1), life("a", 2));
        let made = self.create(second.clone()).await;
        assert_ne!(self.get(&first).await, Some(made.machine.id), "duty 1: another life's");
        self.delete(&second).await;
        assert_eq!(self.get(&second).await, None, "duty 3: it is gone");
        assert!(self.get(&first).await.is_some(), "duty 3: and nothing else is");
        self.create(life("b", 1)).await;
    }

    async fn others(&self) {
        let others = (self.open)("conformance-theirs").await;
        let owner = life("a", 1);
        assert_eq!(others.get(&owner).await.expect("it answers"), None, "duty 4: not theirs");
        others.delete(&owner).await.expect("there is none of theirs");
        let ours = self.get(&owner).await;
        assert!(ours.is_some(), "duty 4: another installation's call left ours alone");
        let theirs = others.create(&self.order(owner.clone())).await.expect("it is made");
        assert_ne!(Some(&theirs.machine.id), ours.as_ref(), "duty 4: ours is not adopted");
        assert_ne!(self.list().await.get(&owner), Some(&theirs.machine.id), "duty 4: not listed");
        others.delete(&owner).await.expect("it is deleted");
        assert_eq!(self.get(&owner).await, ours, "duty 4: and ours is there");
    }

    async fn gone(&mut self) {
        let before = self.list().await;
        for name in ["a", "b"] {
            let owner = life(name, 1);
            assert!(before.contains_key(&owner), "duty 2: still listed");
            self.delete(&owner).await;
            self.delete(&owner).await;
            assert_eq!(self.get(&owner).await, None, "duty 3: it is gone");
            assert!(!self.list().await.contains_key(&owner), "duty 3: and not listed");
        }
        self.provider = (self.open)("conformance-ours").await;
        assert_eq!(self.get(&life("a", 1)).await, None, "duties 3 and 6: it stays gone");
    }
}
