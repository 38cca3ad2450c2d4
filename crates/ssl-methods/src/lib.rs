//! Self-supervised methods for Burn: heads, base losses, and the optimisers they need.
//!
//! A method implements [`BaseMethod`]: from the views of a batch to its loss and to the embeddings that an add-on
//! criterion looks at. [`swav`] is SwAV; [`optim`] has SGD as in PyTorch, LARC and learning-rate schedules. Continued
//! pre-training is then a loop that fits on a page:
//!
//! ```no_run
//! use burn::optim::GradientsParams;
//! use burn::prelude::*;
//! use e2mc_resnet::Checkpoint;
//! use ssl_methods::optim::{LarcConfig, LrSchedule, SgdConfig};
//! use ssl_methods::swav::{Swav, SwavConfig};
//! use ssl_methods::{BaseMethod, MethodError, Progress};
//!
//! # fn batches() -> Vec<Vec<Tensor<4>>> { Vec::new() }
//! # fn main() -> Result<(), MethodError> {
//! let device = Device::default().autodiff();
//! let checkpoint = Checkpoint::open("swav_800ep_pretrain.pth.tar")?;
//! let config = SwavConfig::from_checkpoint(&checkpoint)?;
//! let mut method = Swav::from_checkpoint(&checkpoint, &config, &device)?;
//!
//! let mut optimiser = LarcConfig::new(SgdConfig::new().with_momentum(0.9).with_weight_decay(1e-6)).init()?;
//! let mut schedule = LrSchedule::constant(0.001)?;
//! for (iteration, views) in batches().into_iter().enumerate() {
//!     let progress = Progress { epoch: 0, iteration };
//!     method.before_step();
//!     let output = method.forward(views, progress);
//!     let loss = output.loss; // plus a criterion of output.embeddings
//!     let mut gradients = GradientsParams::from_grads(loss.backward(), &method);
//!     method.after_gradients(&mut gradients, progress);
//!     method = optimiser.step(schedule.next_rate(), method, gradients);
//! }
//! method.save("swav_continued.safetensors")?; // PyTorch's names
//! # Ok(())
//! # }
//! ```

mod error;
mod method;
mod mlp;
mod named_module;
pub mod optim;
mod state;
pub mod swav;
mod views;

pub use error::MethodError;
pub use method::{BaseMethod, MethodOutput, NamedGroup, Progress};
pub use mlp::{Mlp, MlpConfig, MlpLayer};
pub use state::MethodState;
