//! Embeddings of past batches, which stabilize the codes of small batches.

use burn::tensor::{Device, Tensor, TensorData};

use crate::{MethodError, MethodState, Result};

/// The newest `length` normalized embeddings of each full-resolution crop, without graph.
#[derive(Debug, Clone)]
pub(super) struct Queue {
    length: usize,
    /// Per crop `[stored, d]`, newest first; empty before the first batch.
    stored: Vec<Tensor<2>>,
}

impl Queue {
    pub(super) fn new(length: usize) -> Self {
        Self {
            length,
            stored: Vec::new(),
        }
    }

    /// The embeddings of each crop, if the queue is full.
    pub(super) fn when_full(&self) -> Option<&[Tensor<2>]> {
        let full = self.stored.first()?.dims()[0] == self.length;
        full.then_some(&self.stored)
    }

    /// Puts the embeddings of one batch, `[n, d]` per crop, in front, and drops the oldest beyond
    /// `length`.
    ///
    /// # Panics
    ///
    /// If `length` is not a multiple of n.
    pub(super) fn push(&mut self, batch: Vec<Tensor<2>>) {
        let n = batch[0].dims()[0];
        assert!(
            self.length.is_multiple_of(n),
            "SwAV: a queue of {} embeddings cannot be filled with batches of {n}: choose a \
             multiple of the batch size",
            self.length
        );
        if self.stored.is_empty() {
            self.stored = batch;
            return;
        }
        for (stored, newest) in self.stored.iter_mut().zip(batch) {
            let kept = stored.dims()[0].min(self.length - n);
            let older = stored.clone().narrow(0, 0, kept);
            *stored = match kept {
                0 => newest,
                _ => Tensor::cat(vec![newest, older], 0),
            };
        }
    }

    pub(super) fn state(&self) -> MethodState {
        self.stored
            .iter()
            .enumerate()
            .fold(MethodState::default(), |state, (i, stored)| {
                state.with_tensor(name(i), stored.to_data())
            })
    }

    /// Reads the state of a queue of `crops` crops and embeddings of size `d`.
    pub(super) fn from_state(
        mut state: MethodState,
        length: usize,
        crops: usize,
        d: usize,
        device: &Device,
    ) -> Result<Self> {
        let mut queue = Self::new(length);
        if state.is_empty() {
            return Ok(queue);
        }
        let mut rows = None;
        for i in 0..crops {
            let name = name(i);
            let data: TensorData = state
                .take(&name)
                .ok_or_else(|| MethodError::state(format!("{name} is missing")))?;
            let shape = data.shape().to_vec();
            let fits = data.dtype().is_float()
                && matches!(shape[..], [stored, width] if (1..=length).contains(&stored) && width == d
                    && *rows.get_or_insert(stored) == stored);
            if !fits {
                return Err(MethodError::state(format!(
                    "{name} is {:?} {shape:?}, expected at most {length} embeddings of size {d}",
                    data.dtype()
                )));
            }
            queue.stored.push(Tensor::from_data(data, device));
        }
        match state.names().next() {
            None => Ok(queue),
            Some(other) => Err(MethodError::state(format!("{other} is unknown"))),
        }
    }
}

fn name(crop: usize) -> String {
    format!("queue.{crop}")
}
