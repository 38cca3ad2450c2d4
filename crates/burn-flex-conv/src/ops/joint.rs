//! Two operations on one input whose gradients are added in place.

use std::sync::{Arc, Mutex, PoisonError};

use super::tensors::FlexTensor;

/// Joins two operations on the same input. The first one in the backward pass leaves its gradient
/// here, and the second one adds its own to it. Burn would add the two in a separate pass.
///
/// Both must contribute to the same output, like the two paths through a residual block. Then every
/// backward pass runs both or neither.
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
