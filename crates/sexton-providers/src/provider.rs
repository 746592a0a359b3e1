//! What a provider of machines owes.

use std::error::Error;

use sexton::{ActorRef, Timestamp};
use sexton_fleet::{Fault, Machine};
use thiserror::Error as ThisError;

/// A machine that shall be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// The node's life that it is for: token and label.
    pub owner: ActorRef,
    /// The provider's name of its size.
    pub size: String,
    /// The provider's name of its location.
    pub location: String,
}

/// A machine that exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Made {
    /// Its id and where its agent is reached now.
    pub machine: Machine,
    /// The node's life that it was made for.
    pub owner: ActorRef,
    /// When it was made.
    pub created_at: Timestamp,
}

/// The machines that carry the installation's label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    /// Whether these are all. Nothing is concluded from a listing that is not.
    pub complete: bool,
    /// The machines, in no order.
    pub machines: Vec<Made>,
}

/// Why a provider could not do what it was asked.
#[derive(Debug, ThisError)]
#[error("{message}")]
pub struct ProviderError {
    /// Its class. [`Fault::Network`] says that nobody answered: it may have taken effect.
    pub fault: Fault,
    /// The same for people, without secrets.
    pub message: String,
    /// What led to it.
    pub source: Option<Box<dyn Error + Send + Sync>>,
}

impl ProviderError {
    /// An error that nothing else led to.
    pub fn new(fault: Fault, message: impl Into<String>) -> Self {
        Self { fault, message: message.into(), source: None }
    }

    /// An error that something else led to.
    pub fn because(
        fault: Fault,
        message: impl Into<String>,
        source: impl Error + Send + Sync + 'static,
    ) -> Self {
        Self { fault, message: message.into(), source: Some(Box::new(source)) }
    }
}

/// Makes and ends machines, each for one life of a node, all of one installation.
///
/// Every provider keeps these duties, and [`conformance`](crate::conformance) holds it to them:
///
/// 1. **One machine for one life.** `create` with an owner that has a machine answers that
///    machine, also when the first call was never answered, was made by a control plane that
///    crashed, or is under way at the same time. Two lives of one node are two owners.
/// 2. **What was made is found.** From the moment at which `create` could have taken effect, the
///    machine is in `get` and `list`, with its owner, until `delete` is done.
/// 3. **Deleted is gone.** When `delete` answers well, the machine, all that ran on it and its
///    disk are gone. No such machine is done, and never an error: whatever the class of an error,
///    the machine is owed still. A failure leaves it listed.
/// 4. **Nothing of others.** Machines without the installation's label are neither listed nor
///    adopted nor deleted, whatever their owner is called.
/// 5. **It says what it does not know.** A listing that may lack something is not `complete`, or
///    an error; an empty one says that there is nothing.
/// 6. **Its memory is outside.** Opened again after a crash, it knows the same machines.
///
/// The agent of a machine that exists but does not answer is the provider's to start again, where
/// it can: `get` answers the address at which it is reached now.
pub trait Provider: Send + Sync + 'static {
    /// The label by which its machines are known among others'.
    fn installation(&self) -> &str;

    /// Makes the machine of a life, or finds the one that this life has.
    ///
    /// # Errors
    ///
    /// [`Fault::Network`] if nobody answered: asked again, it finds what the first call made. Any
    /// other fault is an answer: nothing was made that is not listed.
    ///
    /// # Durability
    ///
    /// What it made outlives the control plane, also one that ends before the answer.
    fn create(&self, order: &Order) -> impl Future<Output = Result<Made, ProviderError>> + Send;

    /// The machine of a life, if there is one.
    ///
    /// # Errors
    ///
    /// [`ProviderError`] if it is not known whether there is one; never instead of "there is none".
    fn get(
        &self,
        owner: &ActorRef,
    ) -> impl Future<Output = Result<Option<Made>, ProviderError>> + Send;

    /// Deletes the machine of a life. No such machine is done.
    ///
    /// # Errors
    ///
    /// [`ProviderError`]: it may be gone or not, is listed as long as it is not, and the call can be
    /// repeated.
    ///
    /// # Durability
    ///
    /// After `Ok` it is gone for good.
    fn delete(&self, owner: &ActorRef) -> impl Future<Output = Result<(), ProviderError>> + Send;

    /// The machines of the installation.
    ///
    /// # Errors
    ///
    /// [`ProviderError`] if they cannot be listed: nothing may be concluded then.
    fn list(&self) -> impl Future<Output = Result<Listing, ProviderError>> + Send;
}
