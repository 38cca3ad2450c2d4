//! The optimizers of the methods' papers, as Burn's `Optimizer`s, and learning-rate schedules
//! without an upper limit.
//!
//! [`Sgd`] is PyTorch's. [`Larc`] and [`Lars`] adapt each tensor's rate, then apply SGD. `init()`
//! returns a [`ModuleOptimizer`](burn::optim::ModuleOptimizer) for a whole method, `build()` the
//! bare optimizer for [`with_group`](burn::optim::ModuleOptimizer::with_group). No step waits for
//! the device. On Flex, a step is one pass over each parameter, or two with an adaptation.

mod descent;
#[cfg(feature = "flex")]
mod fused;
mod larc;
mod lars;
mod momentum;
mod schedule;
mod sgd;

pub use larc::{Larc, LarcConfig};
pub use lars::{Lars, LarsConfig};
pub use momentum::{MomentumState, continue_momentum};
pub use schedule::LrSchedule;
pub use sgd::{Sgd, SgdConfig};
