//! The operations against Burn's own, values and gradients, at random sizes.

use burn::module::Param;
use burn::nn::{BatchNorm, BatchNormConfig};
use burn::tensor::activation::relu;
use burn::tensor::module::{conv2d as burn_conv2d, max_pool2d as burn_max_pool2d};
use burn::tensor::ops::{ConvOptions as BurnOptions, MaxPoolOptions as BurnPooling};
use burn::tensor::{Device, Distribution, Tensor, TensorData, Tolerance};
use burn_flex_conv::*;
use proptest::prelude::*;

fn random<const D: usize>(shape: [usize; D], device: &Device) -> Tensor<D> {
    Tensor::random(shape, Distribution::Normal(0.0, 1.0), device)
}

#[track_caller]
fn assert_close(found: &TensorData, expected: &TensorData) {
    // Sums of up to a thousand products, in another order.
    found.assert_approx_eq::<f32>(expected, Tolerance::rel_abs(1e-4, 1e-4));
}

/// A loss with a different slope at each value.
fn loss(output: Tensor<4>) -> Tensor<1> {
    let slopes = Tensor::<1, burn::tensor::Int>::arange(
        0..output.shape().num_elements() as i64,
        &output.device(),
    );
    let slopes = (slopes.float() * 0.37).sin().reshape(output.dims());
    (output * slopes).sum()
}

/// Output, gradient of the input and gradient of the weight.
fn evaluate(
    input: &Tensor<4>,
    weight: &Tensor<4>,
    convolve: impl Fn(Tensor<4>, Tensor<4>) -> Tensor<4>,
) -> [TensorData; 3] {
    let (input, weight) = (
        input.clone().detach().require_grad(),
        weight.clone().detach().require_grad(),
    );
    let output = convolve(input.clone(), weight.clone());
    let gradients = loss(output.clone()).backward();
    [
        output.into_data(),
        input.grad(&gradients).unwrap().into_data(),
        weight.grad(&gradients).unwrap().into_data(),
    ]
}

fn burns(options: ConvOptions) -> impl Fn(Tensor<4>, Tensor<4>) -> Tensor<4> {
    let ConvOptions {
        stride,
        padding,
        dilation,
    } = options;
    move |input, weight| {
        burn_conv2d(
            input,
            weight,
            None,
            BurnOptions::new(stride, padding, dilation, 1),
        )
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn convolutions_equal_burns(
        batch in 1usize..4,
        channels in (1usize..40, 1usize..40),
        size in (1usize..10, 1usize..40),
        kernel in (1usize..4, 1usize..4),
        stride in (1usize..4, 1usize..4),
        padding in (0usize..3, 0usize..3),
        dilation in (1usize..3, 1usize..3),
        permuted in any::<bool>(),
    ) {
        let (options, kernel) = (
            ConvOptions {
                stride: stride.into(),
                padding: padding.into(),
                dilation: dilation.into(),
            },
            [kernel.0, kernel.1],
        );
        let size = [size.0, size.1];
        let fits = (0..2).all(|axis| {
            size[axis] + 2 * options.padding[axis] > options.dilation[axis] * (kernel[axis] - 1)
        });
        prop_assume!(fits);
        let device = Device::flex().autodiff();
        let weight = random([channels.1, channels.0, kernel[0], kernel[1]], &device);
        let input = if permuted {
            // Neither channels first nor channels last in memory.
            random([size[1], channels.0, batch, size[0]], &device).permute([2, 1, 3, 0])
        } else {
            random([batch, channels.0, size[0], size[1]], &device)
        };
        let found = evaluate(&input, &weight, |input, weight| conv2d(input, weight, options));
        let expected = evaluate(&input, &weight, burns(options));
        for (found, expected) in found.iter().zip(&expected) {
            assert_close(found, expected);
        }
    }

    #[test]
    fn batch_normalizations_equal_burns(
        batch in 1usize..5,
        channels in 1usize..80,
        size in (1usize..7, 2usize..7),
        with_residual in any::<bool>(),
        activate in any::<bool>(),
    ) {
        let device = Device::flex().autodiff();
        let shape = [batch, channels, size.0, size.1];
        let input = random(shape, &device);
        let residual = random(shape, &device);
        let mut norm: BatchNorm = BatchNormConfig::new(channels).init(&device);
        norm.gamma = Param::from_tensor(random([channels], &device));
        norm.beta = Param::from_tensor(random([channels], &device));

        let evaluate = |fused: bool| {
            let input = input.clone().detach().require_grad();
            let residual = residual.clone().detach().require_grad();
            let output = if fused {
                let options = NormOptions { epsilon: 1e-5, relu: activate };
                let other = with_residual.then(|| residual.clone());
                let (weight, bias) = (norm.gamma.val(), norm.beta.val());
                batch_norm(input.clone(), weight, bias, other, options).output
            } else {
                let mut output = norm.forward(input.clone());
                if with_residual {
                    output = output + residual.clone();
                }
                if activate { relu(output) } else { output }
            };
            let gradients = loss(output.clone()).backward();
            let mut found = vec![
                output.into_data(),
                input.grad(&gradients).unwrap().into_data(),
                norm.gamma.val().grad(&gradients).unwrap().into_data(),
                norm.beta.val().grad(&gradients).unwrap().into_data(),
            ];
            if with_residual {
                found.push(residual.grad(&gradients).unwrap().into_data());
            }
            found
        };
        for (found, expected) in evaluate(true).iter().zip(&evaluate(false)) {
            // Burn's own operation loses some digits where few values are nearly equal.
            found.assert_approx_eq::<f32>(expected, Tolerance::rel_abs(2e-3, 2e-3));
        }
    }

    #[test]
    fn poolings_equal_burns(
        batch in 1usize..4,
        channels in 1usize..40,
        size in (1usize..9, 1usize..9),
    ) {
        let device = Device::flex().autodiff();
        let input = random([batch, channels, size.0, size.1], &device);
        let evaluate = |pool: &dyn Fn(Tensor<4>) -> Tensor<4>| {
            let input = input.clone().detach().require_grad();
            let output = pool(input.clone());
            let gradients = loss(output.clone()).backward();
            [output.into_data(), input.grad(&gradients).unwrap().into_data()]
        };
        let options = MaxPoolOptions { kernel: 3, stride: 2, padding: 1 };
        let burns = BurnPooling {
            kernel_size: [3, 3],
            stride: [2, 2],
            padding: [(1, 1), (1, 1)],
            dilation: [1, 1],
            ceil_mode: false,
        };
        let found = evaluate(&|x| max_pool2d(x, options));
        let expected = evaluate(&|x| burn_max_pool2d(x, burns.clone()));
        for (found, expected) in found.iter().zip(&expected) {
            assert_close(found, expected);
        }
        let found = evaluate(&|x| mean_pool2d(x).reshape([batch, channels, 1, 1]));
        let expected = evaluate(&|x| {
            x.reshape([batch, channels, size.0 * size.1])
                .mean_dim(2)
                .reshape([batch, channels, 1, 1])
        });
        for (found, expected) in found.iter().zip(&expected) {
            assert_close(found, expected);
        }
    }
}

const PLAIN: ConvOptions = ConvOptions {
    stride: [1, 1],
    padding: [1, 1],
    dilation: [1, 1],
};

/// Gradients that are not requested are not computed, and the requested ones stay the same.
#[test]
fn gradients_of_one_side_only() {
    let device = Device::flex().autodiff();
    let input = random([2, 3, 5, 4], &device);
    let weight = random([4, 3, 3, 3], &device);
    let both = evaluate(&input, &weight, |input, weight| {
        conv2d(input, weight, PLAIN)
    });

    let tracked = input.clone().require_grad();
    let output = conv2d(tracked.clone(), weight.clone().detach(), PLAIN);
    let gradients = loss(output).backward();
    assert_eq!(tracked.grad(&gradients).unwrap().into_data(), both[1]);

    let tracked = weight.require_grad();
    let output = conv2d(input.detach(), tracked.clone(), PLAIN);
    let gradients = loss(output).backward();
    assert_eq!(tracked.grad(&gradients).unwrap().into_data(), both[2]);
}

/// A graph that recomputes cheap operations gives the same gradients.
#[test]
fn gradient_checkpointing_changes_nothing() {
    let data = [
        random([2, 3, 6, 6], &Device::flex()),
        random([4, 3, 3, 3], &Device::flex()),
    ];
    let data = data.map(Tensor::into_data);
    let run = |device: Device| {
        let [input, weight] = data
            .clone()
            .map(|data| Tensor::<4>::from_data(data, &device).require_grad());
        let output = conv2d(relu(input.clone() * 2.0), weight.clone(), PLAIN);
        let output = max_pool2d(
            output,
            MaxPoolOptions {
                kernel: 3,
                stride: 2,
                padding: 1,
            },
        );
        let gradients = loss(output).backward();
        [input.grad(&gradients), weight.grad(&gradients)].map(|x| x.unwrap().into_data())
    };
    let plain = run(Device::flex().autodiff());
    assert_eq!(
        plain,
        run(Device::flex().autodiff().gradient_checkpointing())
    );
}

/// Both paths through a residual block, with the gradients added in place and by Burn.
#[test]
fn joined_gradients_equal_burns_sum() {
    let device = Device::flex().autodiff();
    let input = random([2, 4, 5, 5], &device);
    let [main, other] = [(); 2].map(|()| random([4, 4, 3, 3], &device));
    let ones = Tensor::<1>::ones([4], &device);
    let options = NormOptions {
        epsilon: 1e-5,
        relu: true,
    };
    let run = |joined: bool, downsampled: bool| {
        let joint = JointInput::default();
        // Not a leaf, so that the gradient passes on.
        let leaf = input.clone().detach().require_grad();
        let input = leaf.clone() * 1.5;
        let (main, other) = (
            main.clone().detach().require_grad(),
            other.clone().detach().require_grad(),
        );
        let convolve = |weight: &Tensor<4>| match joined {
            true => conv2d_joint(input.clone(), weight.clone(), PLAIN, &joint),
            false => conv2d(input.clone(), weight.clone(), PLAIN),
        };
        let norm = |x, residual| {
            let bias = ones.clone() * 0.1;
            batch_norm(x, ones.clone(), bias, residual, options).output
        };
        let first = norm(convolve(&main), None);
        let output = if downsampled {
            norm(first, Some(convolve(&other)))
        } else if joined {
            let bias = ones.clone() * 0.1;
            batch_norm_joint(first, ones.clone(), bias, input.clone(), options, &joint).output
        } else {
            norm(first, Some(input.clone()))
        };
        let gradients = loss(output.clone()).backward();
        [
            output.into_data(),
            leaf.grad(&gradients).unwrap().into_data(),
        ]
    };
    for downsampled in [false, true] {
        let (found, expected) = (run(true, downsampled), run(false, downsampled));
        assert_eq!(found[0], expected[0]);
        assert_close(&found[1], &expected[1]);
    }
}

/// The number of threads does not change a single bit.
#[test]
fn results_do_not_depend_on_the_number_of_threads() {
    let device = Device::flex().autodiff();
    let input = random([5, 20, 14, 14], &device);
    let weight = random([70, 20, 3, 3], &device);
    let run = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        pool.unwrap().install(|| {
            let [output, of_input, of_weight] = evaluate(&input, &weight, |input, weight| {
                conv2d(input, weight, PLAIN)
            });
            let ones = Tensor::ones([20], &device);
            let options = NormOptions {
                epsilon: 1e-5,
                relu: true,
            };
            let normalized = batch_norm(input.clone(), ones.clone(), ones, None, options);
            [output, of_input, of_weight, normalized.output.into_data()]
        })
    };
    let one = run(1);
    for threads in [2, 3, 7] {
        assert_eq!(one, run(threads), "{threads} threads");
    }
}

#[test]
#[should_panic(expected = "the channels of the input [1, 3, 4, 4] are not those of the weight")]
fn channels_that_do_not_match_panic_with_both_shapes() {
    let device = Device::flex();
    conv2d(
        random([1, 3, 4, 4], &device),
        random([2, 5, 3, 3], &device),
        PLAIN,
    );
}
