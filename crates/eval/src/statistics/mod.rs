//! Significance of a difference between two models, and spread over trials.
//!
//! The tests are paired: both models are judged on the same images, and each image says whether
//! the first and the second model are right (Table D.1 of the paper). All differences are
//! second minus first, so that a positive one means the second model is better.
//!
//! Per-image tests know the images, not the draws of the labels or the seeds: those are the subject
//! of [`paired_t`].

mod bootstrap;
mod comparison;
mod effect_size;
mod mcnemar;
mod paired;
mod paired_t;
mod permutation;
mod power;
mod summary;

pub use bootstrap::{BOOTSTRAP_QUESTION, bootstrap_mean_difference};
pub use comparison::PairedComparison;
pub use effect_size::{COHENS_D_QUESTION, cohens_d, mean_difference};
pub use mcnemar::{McNemar, McNemarMethod, mcnemar};
pub use paired_t::{PairedT, paired_t, smallest_significant};
pub use permutation::{PermutationTest, permutation_test};
pub use power::{detectable_by_mcnemar, detectable_difference};
pub use summary::Summary;
