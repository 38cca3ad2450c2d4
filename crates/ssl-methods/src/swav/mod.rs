//! SwAV: online clustering of multi-crop views (Caron et al., *Unsupervised Learning of Visual
//! Features by Contrasting Cluster Assignments*, 2020; eq. 2 of the E2MC paper).
//!
//! Each crop's normalized embedding is scored against learned *prototypes*. [`sinkhorn`] turns the
//! scores of the full-resolution crops into codes that spread a batch evenly over the prototypes.
//! Every other crop of the image then predicts that code ([`swapped_prediction_loss`]). [`Swav`] is
//! the whole method.

mod config;
mod loss;
mod model;
mod queue;
mod sinkhorn;

pub use config::{QueueConfig, SwavConfig};
pub use loss::swapped_prediction_loss;
pub use model::Swav;
pub use sinkhorn::sinkhorn;
