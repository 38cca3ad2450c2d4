//! Self-supervised methods for Burn: heads, base losses, and the optimizers they need.
//!
//! A method implements [`BaseMethod`]: it computes the loss of a batch of views, and the embeddings
//! for an add-on criterion.
//!
//! - [`vicreg`], [`swav`] and [`simsiam`] are the base methods of the E2MC paper; [`barlow_twins`]
//!   is a fourth.
//! - [`criterion`] has E2MC and the criteria that the paper compares it with. Any criterion works
//!   with any method.
//! - [`optim`] has PyTorch's SGD, LARC, LARS and learning-rate schedules.
//! - [`accumulated_gradients`] trains large batches on small devices, with the loss of the whole
//!   batch; [`replicated_gradients`] spreads a batch over several devices, likewise.
//!
//! Continued pre-training is a short loop:
//!
//! ```no_run
//! use burn::prelude::*;
//! use e2mc_resnet::Checkpoint;
//! use ssl_methods::criterion::CriterionConfig;
//! use ssl_methods::optim::{LarcConfig, LrSchedule, SgdConfig};
//! use ssl_methods::swav::{Swav, SwavConfig};
//! use ssl_methods::{BaseMethod, RunPosition};
//!
//! # fn batches() -> Vec<Vec<Tensor<4>>> { Vec::new() }
//! # fn main() -> ssl_methods::Result<()> {
//! let device = Device::default().autodiff();
//! let checkpoint = Checkpoint::open("swav_800ep_pretrain.pth.tar")?;
//! let config = SwavConfig::from_checkpoint(&checkpoint)?;
//! let mut method = Swav::from_checkpoint(&checkpoint, &config, &device)?;
//!
//! let criterion = CriterionConfig::E2mc(e2mc_loss::E2mcLossConfig::swav()).init();
//! let sgd = SgdConfig::new().with_momentum(0.9).with_weight_decay(1e-6);
//! let mut optimizer = LarcConfig::new(sgd).init();
//! let mut schedule = LrSchedule::constant(0.001)?;
//! for (iteration, views) in batches().into_iter().enumerate() {
//!     let position = RunPosition { epoch: 0, iteration };
//!     let step = method.step(views, position, |output| {
//!         match criterion.forward(&output.embeddings, &output.small_crops) {
//!             Some(add_on) => output.loss.clone() + add_on.loss,
//!             None => output.loss.clone(),
//!         }
//!     });
//!     method = optimizer.step(schedule.next_rate(), method, step.gradients);
//! }
//! method.save("swav_continued.safetensors")?; // PyTorch's names
//! # Ok(())
//! # }
//! ```

mod accumulate;
pub mod barlow_twins;
mod checkpoint;
pub mod criterion;
mod error;
mod method;
mod mlp;
mod named_module;
mod normalize;
pub mod optim;
mod pieces;
mod replicas;
mod running;
pub mod simsiam;
mod single_image;
mod state;
pub mod swav;
pub mod vicreg;
mod views;
mod whole_loss;

pub use accumulate::accumulated_gradients;
pub use error::{MethodError, Result};
pub use method::{BaseMethod, MethodOutput, NamedGroup, RunPosition, Step};
pub use mlp::{Mlp, MlpConfig, MlpLayer};
pub use pieces::split_views;
pub use replicas::{Replicas, replicated_gradients};
pub use single_image::leaves_single_image;
pub use state::MethodState;

/// Runs the README's examples.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
