//! Diagnostics of embeddings against NumPy and SciPy. Reference values:
//! `tests/reference/embeddings_and_draws.py`.

use burn::tensor::{Device, Tensor, TensorData};
use e2mc_eval::diagnostics::{EmbeddingStatistics, effective_rank, mean_absolute_correlation};
use serde::Deserialize;

#[derive(Deserialize)]
struct Golden {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    shape: [usize; 2],
    values: Vec<f32>,
    compact: Vec<f32>,
    effective_rank: f64,
    mean_std: f64,
    mean_absolute_correlation: f64,
    marginal_uniformity: f64,
}

fn golden() -> Golden {
    let json = include_str!("../../../tests/reference/eval/diagnostics.json");
    serde_json::from_str(json).expect("the reference file is JSON")
}

fn tensor(values: Vec<f32>, shape: [usize; 2]) -> Tensor<2> {
    Tensor::from_data(TensorData::new(values, shape), &Device::flex())
}

#[test]
fn equal_numpy_and_scipy() {
    for case in golden().cases {
        let embeddings = tensor(case.values, case.shape);
        let compact = tensor(case.compact, case.shape);
        let got = EmbeddingStatistics::of(embeddings, compact);
        // The rank is computed in f64 throughout, the rest from sums and products in f32.
        for (got, want, tolerance) in [
            (got.effective_rank, case.effective_rank, 1e-6),
            (got.embedding_std_mean, case.mean_std, 1e-5),
            (
                got.mean_abs_off_diagonal_correlation,
                case.mean_absolute_correlation,
                1e-4,
            ),
            (got.marginal_uniformity, case.marginal_uniformity, 1e-6),
        ] {
            let name = &case.name;
            assert!((got / want - 1.0).abs() < tolerance, "{name}: {got} {want}");
        }
    }
}

#[test]
fn the_ends_of_the_effective_rank() {
    let identity = (0..64).map(|i| f32::from(i % 9 == 0)).collect();
    let rank = |values, shape| effective_rank(tensor(values, shape));
    assert!((rank(identity, [8, 8]) - 8.0).abs() < 1e-4);
    // Every row the same: the collapse that RankMe was made for.
    let collapsed = (0..6 * 300).map(|i| 0.1 + (i % 6) as f32).collect();
    assert!((rank(collapsed, [300, 6]) - 1.0).abs() < 1e-4);
    assert_eq!(rank(vec![0.0; 12], [3, 4]), 0.0);
    assert!(rank(vec![0.0, f32::NAN, 1.0, 1.0], [2, 2]).is_nan());
}

#[test]
fn dimensions_that_do_not_vary_have_no_correlation() {
    let values = vec![1.0, 3.0, 2.0, 3.0, 4.0, 3.0];
    assert_eq!(mean_absolute_correlation(tensor(values, [3, 2])), 0.0);
    // r = -1 and 1, and the constant left out; more columns than are correlated at a time.
    let row = |sign: f32| {
        (0..1500).map(move |i| {
            if i == 7 {
                0.5
            } else {
                sign * (i % 2 * 2 - 1) as f32
            }
        })
    };
    let values = row(-1.0).chain(row(1.0)).chain(row(1.0)).collect();
    let mean = mean_absolute_correlation(tensor(values, [3, 1500]));
    assert!((mean - 1.0).abs() < 1e-5, "{mean}");
}

#[test]
fn a_graph_is_not_needed() {
    let device = Device::flex().autodiff();
    let values = Tensor::<2>::from_data([[1.0, 2.0], [0.5, -1.0], [2.0, 0.1]], &device);
    let tracked = values.clone().require_grad();
    let compact = values.clone().mul_scalar(0.1).add_scalar(0.3);
    let statistics = EmbeddingStatistics::of(tracked, compact.clone());
    assert_eq!(
        statistics,
        EmbeddingStatistics::of(values.inner(), compact.inner())
    );
}
