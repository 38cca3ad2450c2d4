//! Linear support vector machines on frozen features, one per class: the VOC07 benchmark of the
//! paper (App. B.2).
//!
//! The benchmark is from Goyal et al. 2019. Its classifier is liblinear's L2-regularized SVM with
//! the squared hinge loss:
//!
//! `w = argmin |w|^2 / 2 + C sum_i c_i max(0, 1 - y_i w.x_i)^2`
//!
//! Images that show the class have y = 1 and c = 2, the others y = -1 and c = 1. Features are
//! divided by their length, and a constant 1 is appended, so the bias is regularized like the
//! weights. The squared hinge makes the objective differentiable and its minimum unique. In the
//! benchmark, liblinear's dual coordinate descent stops after 2000 passes, short of the minimum for
//! large C. [`svm`] finds the minimum itself by Newton steps in the primal, so it equals liblinear
//! with a tight tolerance.
//!
//! C is chosen per class by 3-fold cross-validation on [`average_precision`]. The test results are
//! [`interpolated_average_precision`], the benchmark's area under the curve, and
//! [`eleven_point_average_precision`], VOC07's original measure.

mod average_precision;
mod config;
mod evaluate;
mod folds;
mod labels;
mod line_search;
mod newton;
mod rows;

pub use average_precision::{
    average_precision, eleven_point_average_precision, interpolated_average_precision,
};
pub use config::SvmConfig;
pub use evaluate::{SvmClass, SvmResult, svm};
pub use labels::{ObjectLabels, Presence};
