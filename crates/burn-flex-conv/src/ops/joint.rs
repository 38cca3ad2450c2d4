//! Two operations on one input whose gradients are added in place.

use std::sync::{Arc, Mutex, PoisonError};

use super::tensors::FlexTensor;

/// Joins two operations on the same input: the gradient of the one that goes backward first waits
/// here, and the other adds its own to it. Burn would add the two in a pass of its own.
///
/// Both must contribute to the same output (as the two ways through a residual block do), so that a
/// backward pass that meets one meets the other.
#[derive(Debug, Clone, Default)]
pub struct JointInput(Arc<Mutex<Option<FlexTensor>>>);

impl JointInput {
    /// Leaves a gradient for the other operation.
    pub(super) fn leave(&self, gradient: FlexTensor) {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        assert!(
            waiting.is_none(),
            "JointInput: used by more than two operations"
        );
        *waiting = Some(gradient);
    }

    /// The gradient that the other operation left.
    pub(super) fn take(&self) -> Option<FlexTensor> {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.take()
    }
}
