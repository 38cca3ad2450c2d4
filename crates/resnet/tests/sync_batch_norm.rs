//! Synchronized batch normalization: the replicas together against PyTorch's layer on all inputs.

mod common;

use std::thread;

use burn::prelude::*;
use common::{Golden, reference};
use e2mc_resnet::{BatchNorm, BatchNormConfig, Checkpoint, ReplicaLeft, SyncBatchNorm};

/// f32 against f64.
const TOLERANCE: f64 = 1e-5;
/// The mean is a hundred times the deviation: the f32 input itself carries only that many digits.
const OFFSET_TOLERANCE: f64 = 1e-4;

fn device() -> Device {
    Device::flex().autodiff()
}

/// What a replica finds, without a graph: output, the gradients of input, weight and bias, and the
/// running statistics.
struct Found<const D: usize> {
    output: Tensor<D>,
    of_input: Tensor<D>,
    of_parameters: [Option<Tensor<1>>; 2],
    running: [Tensor<1>; 2],
}

fn forward_and_backward<const D: usize>(
    norm: BatchNorm,
    input: Tensor<D>,
    cotangent: Tensor<D>,
) -> Found<D> {
    let input = input.require_grad();
    let output = norm.forward(input.clone());
    let grads = (output.clone() * cotangent).sum().backward();
    let of_parameters = [&norm.weight, &norm.bias]
        .map(|parameter| Some(parameter.as_ref()?.val().grad(&grads).unwrap()));
    Found {
        output: output.without_autodiff(),
        of_input: input.grad(&grads).unwrap(),
        of_parameters,
        // Burn applies a pending update only in the thread that made it.
        running: [&norm.running_mean, &norm.running_var].map(|running| running.value_sync()),
    }
}

fn compare<const D: usize>(name: &str, affine: bool, replicas: usize, tolerance: f64) {
    let golden = Golden::open("batch_norm.safetensors");
    let input = golden.tensor::<D>(&format!("{name}.input"), &device());
    let cotangent = golden.tensor::<D>(&format!("{name}.cotangent"), &device());
    let [n, channels] = [input.dims()[0], input.dims()[1]];
    assert_eq!(n % replicas, 0);
    let share = n / replicas;
    let found: Vec<Found<D>> = thread::scope(|scope| {
        let members = SyncBatchNorm::replicas(replicas).into_iter().enumerate();
        let threads = members.map(|(i, member)| {
            let mut norm = BatchNormConfig::new(channels)
                .with_affine(affine)
                .init(&device());
            Checkpoint::open(reference("batch_norm.safetensors"))
                .unwrap()
                .load_into(&mut norm, &format!("{name}.before"))
                .unwrap();
            let rows = i * share..(i + 1) * share;
            let input = input.clone().slice_dim(0, rows.clone());
            let cotangent = cotangent.clone().slice_dim(0, rows);
            scope.spawn(move || member.run(|| forward_and_backward(norm, input, cotangent)))
        });
        let threads: Vec<_> = threads.collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });

    let outputs = found.iter().map(|found| found.output.clone());
    let output = Tensor::cat(outputs.collect(), 0);
    golden.assert_close(&format!("{name}.train"), output, tolerance);
    let of_input = found.iter().map(|found| found.of_input.clone());
    let of_input = Tensor::cat(of_input.collect(), 0);
    golden.assert_close(&format!("{name}.grad.input"), of_input, tolerance);
    for (i, field) in ["weight", "bias"].into_iter().enumerate() {
        let each = found
            .iter()
            .filter_map(|found| found.of_parameters[i].clone());
        let sum = each.reduce(|sum, more| sum + more);
        assert_eq!(sum.is_some(), affine);
        if let Some(sum) = sum {
            golden.assert_close(&format!("{name}.grad.{field}"), sum, tolerance);
        }
    }
    for Found { running, .. } in found {
        for (field, running) in ["running_mean", "running_var"].into_iter().zip(running) {
            golden.assert_close(&format!("{name}.after.{field}"), running, tolerance);
        }
    }
}

#[test]
fn replicas_equal_pytorch_on_all_their_inputs() {
    for replicas in [1, 2, 4] {
        compare::<4>("rank4", true, replicas, TOLERANCE);
    }
    for replicas in [2, 3, 6] {
        compare::<2>("plain", false, replicas, TOLERANCE);
    }
}

#[test]
fn replicas_keep_their_digits_far_from_zero() {
    for replicas in [2, 8] {
        compare::<4>("offset", true, replicas, OFFSET_TOLERANCE);
    }
}

#[test]
fn running_statistics_are_not_exchanged() {
    // With another replica that never comes.
    let [member, _other] = SyncBatchNorm::replicas(2).try_into().unwrap();
    let input = Tensor::<2>::from_floats([[1.0], [3.0]], &device());
    let frozen = BatchNormConfig::new(1).init(&device()).freeze();
    let found = member.run(|| frozen.forward(input.clone()));
    let expected = frozen.forward(input);
    assert_eq!(found.into_data(), expected.into_data());
}

#[test]
fn a_replica_whose_partner_ended_panics_as_such() {
    let [first, second] = SyncBatchNorm::replicas(2).try_into().unwrap();
    let norm = || BatchNormConfig::new(1).init(&device());
    let rows = || Tensor::<2>::from_floats([[1.0], [3.0]], &device());
    thread::scope(|scope| {
        let waiting = scope.spawn(move || first.run(|| norm().forward(rows())));
        // It ends in its part; the membership is dropped with the thread.
        let failing = scope.spawn(move || second.run(|| panic!("device lost")));
        assert!(failing.join().is_err());
        let panic = waiting.join().unwrap_err();
        assert!(panic.is::<ReplicaLeft>());
    });
    // Beyond the replica's part, a layer normalizes alone again.
    let output = norm().forward(rows()).into_data();
    let alone = output.try_to_vec::<f32>().unwrap();
    assert!((alone[0] + 1.0).abs() < 1e-4 && (alone[1] - 1.0).abs() < 1e-4);
}

#[test]
fn different_networks_in_two_replicas_panic() {
    let members = SyncBatchNorm::replicas(2);
    thread::scope(|scope| {
        let threads: Vec<_> = (2..4)
            .zip(members)
            .map(|(channels, member)| {
                let norm = BatchNormConfig::new(channels).init(&device());
                let input = Tensor::<2>::ones([4, channels], &device());
                scope.spawn(move || member.run(|| norm.forward(input)))
            })
            .collect();
        for thread in threads {
            let panic = thread.join().unwrap_err();
            let message = panic.downcast_ref::<String>().unwrap();
            assert!(message.contains("replicas exchange"), "{message}");
        }
    });
}
