use std::sync::{Mutex, PoisonError};

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Device, Tensor};

/// Held while drawing, since Burn's generator belongs to the whole process.
static DRAWING: Mutex<()> = Mutex::new(());

/// Makes a module with the device's generator at `seed`, and draws its random weights, while no
/// other call of this function draws. Burn draws weights on first use, so studies and branches that
/// start at the same time would otherwise share one sequence.
///
/// # Errors
///
/// The errors of `make`.
pub fn seeded<M: Module, E>(
    device: &Device,
    seed: u64,
    make: impl FnOnce() -> Result<M, E>,
) -> Result<M, E> {
    // A panic leaves no partial state, since the next caller sets its own seed.
    let _one_at_a_time = DRAWING.lock().unwrap_or_else(PoisonError::into_inner);
    device.seed(seed);
    let module = make()?;
    module.visit(&mut Draw);
    Ok(module)
}

struct Draw;

impl ModuleVisitor for Draw {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        param.val();
    }
}
