//! Diagnostics of embeddings against NumPy and SciPy. Reference values:
//! `tests/reference/embeddings_and_draws.py`.

use burn::tensor::{Device, Tensor, TensorData};
use e2mc_eval::EvalError;
use e2mc_eval::diagnostics::{
    Collapse, EmbeddingStatistics, effective_rank, marginal_entropies, mean_absolute_correlation,
    neighbor_distances, pair_uniformity,
};
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
    entropies: Vec<f64>,
    pair_uniformity: Vec<f64>,
    neighbors: Neighbors,
}

#[derive(Deserialize)]
struct Neighbors {
    nearest: Vec<f64>,
    kth: Vec<f64>,
    overlap: f64,
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
fn marginals_of_one_and_two_dimensions_equal_numpy() {
    for case in golden().cases {
        let compact = tensor(case.compact, case.shape);
        let entropies = marginal_entropies(compact.clone(), None);
        let pairs = pair_uniformity(compact, &[(0, 1), (2, 6)]);
        // Both sides compute in f64 from the same f32 values.
        let close = |got: f64, want: f64| {
            let name = &case.name;
            assert!(
                (got - want).abs() < 1e-9 * want.abs().max(1.0),
                "{name}: {got} {want}"
            );
        };
        let mean = case.entropies.iter().sum::<f64>() / case.entropies.len() as f64;
        close(entropies.mean, mean);
        assert_eq!(entropies.per_dimension.len(), case.entropies.len());
        for (&got, &want) in entropies.per_dimension.iter().zip(&case.entropies) {
            close(got, want);
        }
        for (&got, &want) in pairs.iter().zip(&case.pair_uniformity) {
            close(got, want);
        }
    }
}

#[test]
fn distances_to_neighbors_equal_scipy() {
    for case in golden().cases {
        let got = neighbor_distances(tensor(case.values, case.shape), 4).unwrap();
        let want = case.neighbors;
        for (got, want) in [(&got.nearest, &want.nearest), (&got.kth, &want.kth)] {
            assert_eq!(got.len(), want.len());
            for (got, want) in got.iter().zip(want) {
                assert!(
                    (got - want).abs() < 1e-6 * want,
                    "{}: {got} {want}",
                    case.name
                );
            }
        }
        assert!(
            (got.overlap() - want.overlap).abs() < 1e-12,
            "{}",
            case.name
        );
    }
}

#[test]
fn distances_of_many_embeddings_and_bad_input() {
    // On a line, more rows than a block: the nearest is 1 away, the 100th 50 inside, 100 at the
    // end.
    let line = tensor((0..5000).map(|i| i as f32).collect(), [5000, 1]);
    let distances = neighbor_distances(line.clone(), 100).unwrap();
    assert!(distances.nearest.iter().all(|&length| length == 1.0));
    assert_eq!((distances.kth[0], distances.kth[2500]), (100.0, 50.0));
    assert_eq!(distances.overlap(), 0.0);
    // Copies have distance 0 to one another.
    let copies = neighbor_distances(tensor(vec![1.0; 8], [4, 2]), 3).unwrap();
    assert_eq!(
        (copies.nearest[0], copies.kth[3], copies.overlap()),
        (0.0, 0.0, 1.0)
    );

    for k in [0, 5000] {
        let error = neighbor_distances(line.clone(), k).unwrap_err();
        assert!(error.to_string().starts_with("k is"), "{error}");
    }
    let nan = tensor(vec![0.0, 1.0, f32::NAN, 2.0], [2, 2]);
    let error = neighbor_distances(nan, 1).unwrap_err();
    assert!(matches!(
        error,
        EvalError::NonFinite {
            row: 1,
            column: 0,
            ..
        }
    ));
}

#[test]
fn collapse_is_a_result() {
    let statistics = |values: Vec<f32>| {
        let values = tensor(values, [50, 50]);
        EmbeddingStatistics::of(values.clone(), values.clamp(0.0, 1.0)).collapse([50, 50])
    };
    let pseudo = |i: usize| ((i * 7919 + i * i * 31) % 1009) as f32 / 504.5 - 1.0;
    assert_eq!(statistics((0..2500).map(pseudo).collect()), None);
    let point = statistics((0..2500).map(|i| (i % 50) as f32).collect());
    assert!(
        matches!(point, Some(Collapse::Complete { .. })),
        "{point:?}"
    );
    // Rank 2 of 50.
    let plane = (0..2500)
        .map(|i| pseudo(i / 50) * pseudo(i % 50) + pseudo(i / 50 + 77) * pseudo(i % 50 + 99));
    let plane = statistics(plane.collect());
    assert!(
        matches!(plane, Some(Collapse::Dimensional { possible: 50, .. })),
        "{plane:?}"
    );
}

#[test]
fn the_ends_of_the_effective_rank() {
    let identity = (0..64).map(|i| f32::from(i % 9 == 0)).collect();
    let rank = |values, shape| effective_rank(tensor(values, shape));
    assert!((rank(identity, [8, 8]) - 8.0).abs() < 1e-4);
    // All rows are equal: the collapse that RankMe detects.
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
