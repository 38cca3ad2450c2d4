//! Linear support vector machines on frozen features, one per class: the VOC07 benchmark of the
//! paper (App. B.2).
//!
//! The benchmark is that of Goyal et al. 2019. Its classifier is liblinear's L2-regularised SVM
//! with the squared hinge loss:
//!
//! `w = argmin |w|^2 / 2 + C sum_i c_i max(0, 1 - y_i w.x_i)^2`
//!
//! with y = 1 for images that show the class and -1 for the others, and c = 2 for the former and 1
//! for the latter. Features are divided by their length, and a constant 1 is appended, so the bias
//! is regularised like the weights. The squared hinge makes the minimum unique and the objective
//! once differentiable. liblinear's dual coordinate descent stops there after 2000 passes, short of
//! the minimum for large C; [`svm`] finds the minimum itself, by Newton steps in the primal, so it
//! equals liblinear with a tight tolerance.
//!
//! C is chosen per class by 3-fold cross-validation on [`average_precision`]. Test images are
//! judged by [`interpolated_average_precision`], the area under the curve as the benchmark reports
//! it, and by [`eleven_point_average_precision`], VOC07's original measure.

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
