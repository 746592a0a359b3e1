//! Who may write: the table of fences that every store keeps, one a shard.

use sexton_core::limits::SHARDS;
use sexton_core::{Batch, Epoch, Error, ErrorKind, Fence, Sequence, Shard, Timestamp};

/// Where each shard stands. All shards have the same epoch, because a claim takes them all.
#[derive(Clone, Debug)]
pub(crate) struct Fences {
    epoch: Epoch,
    /// Indexed by the shard's number; the epochs inside are not looked at.
    shards: Vec<Fence>,
}

impl Fences {
    /// The table of a store in which nothing has happened.
    pub(crate) fn new() -> Self {
        Self { epoch: Epoch(0), shards: vec![Fence::default(); usize::from(SHARDS)] }
    }

    /// The epoch of the latest claim.
    pub(crate) fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// Records a claim.
    pub(crate) fn claim(&mut self, epoch: Epoch) {
        self.epoch = epoch;
    }

    /// Where one shard stands.
    pub(crate) fn fence(&self, shard: Shard) -> Fence {
        let fence = self.shards.get(usize::from(shard.number())).copied().unwrap_or_default();
        Fence { epoch: self.epoch, ..fence }
    }

    /// Every shard and where it stands, in order.
    pub(crate) fn all(&self) -> Vec<(Shard, Fence)> {
        Shard::all().map(|shard| (shard, self.fence(shard))).collect()
    }

    /// Whether `batch` comes from its shard's owner and is the next one.
    ///
    /// Keeps G3, promise 4 of `Store`: a refused batch has changed nothing yet.
    pub(crate) fn check(&self, batch: &Batch) -> Result<(), Error> {
        let fence = self.fence(batch.shard);
        let shard = batch.shard.number();
        if batch.epoch != fence.epoch {
            let (sent, has) = (batch.epoch.0, fence.epoch.0);
            let message = format!("shard {shard} has epoch {has}, and a batch came with {sent}");
            return Err(Error::new(ErrorKind::Closed, message));
        }
        if batch.expected != fence.sequence {
            let (sent, has) = (batch.expected.0, fence.sequence.0);
            let message = format!("shard {shard} has sequence {has}, and a batch expects {sent}");
            return Err(Error::new(ErrorKind::Closed, message));
        }
        Ok(())
    }

    /// Moves the shard of a committed batch on. Doing it twice does no harm.
    pub(crate) fn advance(&mut self, batch: &Batch) {
        let fence = Fence {
            epoch: batch.epoch,
            sequence: Sequence(batch.expected.0 + 1),
            at: batch.at,
            order: batch.order,
        };
        self.set(batch.shard, fence);
    }

    /// Sets where a shard stands.
    pub(crate) fn set(&mut self, shard: Shard, fence: Fence) {
        if let Some(place) = self.shards.get_mut(usize::from(shard.number())) {
            *place = fence;
        }
    }

    /// The shards that ever committed: number, sequence, milliseconds, order.
    pub(crate) fn used(&self) -> Vec<(u16, u64, i64, u64)> {
        let used = self.all().into_iter().filter(|(_, fence)| fence.sequence.0 > 0);
        used.map(|(shard, it)| (shard.number(), it.sequence.0, it.at.as_millis(), it.order))
            .collect()
    }

    /// The table that [`used`](Self::used) told; `None` if a number is no shard's.
    pub(crate) fn from_used(epoch: Epoch, used: &[(u16, u64, i64, u64)]) -> Option<Self> {
        let mut fences = Self::new();
        fences.claim(epoch);
        for &(shard, sequence, at, order) in used {
            if shard >= SHARDS {
                return None;
            }
            let at = Timestamp::from_millis(at);
            fences.set(Shard::new(shard), Fence { epoch, sequence: Sequence(sequence), at, order });
        }
        Some(fences)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_of_fences_reads_back_as_it_was() {
        let mut fences = Fences::new();
        fences.claim(Epoch(7));
        let at = Timestamp::from_millis(-5);
        let fence = Fence { epoch: Epoch(7), sequence: Sequence(3), at, order: 9 };
        fences.set(Shard::new(4_095), fence);
        let again = Fences::from_used(fences.epoch(), &fences.used()).unwrap();
        assert_eq!(again.all(), fences.all());
        assert_eq!(again.fence(Shard::new(4_095)), fence);
        assert!(Fences::from_used(Epoch(1), &[(SHARDS, 1, 1, 1)]).is_none());
    }
}
