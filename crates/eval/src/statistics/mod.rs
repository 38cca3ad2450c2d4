//! Significance of a difference between two models, and spread over trials.
//!
//! The tests are paired: both models are tested on the same images, and the input is whether each
//! model is right on each image (Table D.1). All differences are second minus first, so a positive
//! difference means that the second model is better.
//!
//! Per-image tests cover the choice of images, not the draws of labels or seeds. [`paired_t`]
//! covers those.

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
