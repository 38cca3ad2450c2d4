//! The swapped prediction loss.

use burn::tensor::activation::log_softmax;
use burn::tensor::{FloatDType, Tensor};

/// SwAV's loss (eq. 2 of the E2MC paper): for each crop with a code `q`, the mean over the other
/// crops of `-mean_i sum_k q_ik log softmax(scores_i / temperature)_k`, averaged over the crops
/// with a code.
///
/// Computed in f32. A loss of `ln(prototypes)` means uniform predictions. It stays there if SwAV
/// fails to learn.
///
/// # Shapes
///
/// - scores `[crops, n, prototypes]`, at least two crops
/// - codes `[coded, n, prototypes]` of the first `coded` crops; no gradient flows into them
/// - output `[1]`
///
/// `temperature` is positive (0.1 in the paper).
///
/// # Panics
///
/// If there are fewer than two crops, no codes or more codes than crops, shapes differ, or
/// `temperature` is not positive.
pub fn swapped_prediction_loss(scores: Tensor<3>, codes: Tensor<3>, temperature: f64) -> Tensor<1> {
    let [crops, n, prototypes] = scores.dims();
    let [coded, codes_n, codes_prototypes] = codes.dims();
    assert!(
        crops >= 2
            && (1..=crops).contains(&coded)
            && (codes_n, codes_prototypes) == (n, prototypes),
        "swapped_prediction_loss: expected scores [crops >= 2, n, prototypes] and codes \
         [1..=crops, n, prototypes], \
         got {:?} and {:?}",
        scores.dims(),
        codes.dims()
    );
    assert!(
        temperature > 0.0,
        "swapped_prediction_loss: temperature must be positive, but is {temperature}"
    );

    // Every crop is compared with the sum of all other crops' codes: one product per crop instead
    // of one per pair.
    let codes = codes.without_autodiff().cast(FloatDType::F32);
    let sum = codes.clone().sum_dim(0);
    let mut targets = vec![sum.clone().expand([coded, n, prototypes]) - codes];
    if crops > coded {
        targets.push(sum.expand([crops - coded, n, prototypes]));
    }
    let targets = Tensor::cat(targets, 0);

    let log_predictions = log_softmax(scores.cast(FloatDType::F32) / temperature, 2);
    let pairs = coded * (crops - 1) * n;
    (log_predictions * targets).sum() / -(pairs as f64)
}
