//! The gradients.

use std::sync::Arc;

use burn::backend::AutodiffBackend;
use burn::backend::Flex;
use burn::backend::autodiff::Autodiff;
use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, NodeGuard, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;

use super::flex::{
    add_input_gradient, input_gradient, max_pool, max_pool_gradient, mean_pool_gradient, normalize,
    weight_gradient,
};
use super::tensors::{FlexTensor, channels_last, dims, into_channels_last, map_from, tensor};
use super::{ConvOptions, FlexConv, JointInput, MaxPoolOptions, NormOptions};
use crate::kernels::{Affine, Arch, Forward, normalize_backward};

#[derive(Debug)]
struct Conv2d;

/// Values saved for the backward pass of a convolution.
#[derive(Debug, Clone)]
struct ConvState {
    input: FlexTensor,
    weight: FlexTensor,
    options: ConvOptions,
    joint: Option<JointInput>,
}

impl Backward<Flex, 2> for Conv2d {
    type State = ConvState;

    fn backward(self, ops: Ops<Self::State, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
        let [input_node, weight_node] = ops.parents;
        let gradient = into_channels_last(grads.consume::<Flex>(&ops.node));
        let ConvState {
            input,
            weight,
            options,
            joint,
        } = ops.state;
        if let Some(node) = weight_node {
            let gradient = weight_gradient(&input, dims(&weight), &gradient, options);
            grads.register::<Flex>(node.id, gradient);
        }
        let Some(node) = input_node else { return };
        let gradient = match joint.as_ref().and_then(JointInput::take) {
            Some(sum) => add_input_gradient(sum, &weight, &gradient, options),
            None => {
                let gradient = input_gradient(dims(&input), &weight, &gradient, options);
                if let Some(joint) = joint {
                    return joint.leave(gradient);
                }
                gradient
            }
        };
        grads.register::<Flex>(node.id, gradient);
    }
}

/// Values saved for the backward pass of a batch normalization.
#[derive(Debug, Clone)]
struct NormState {
    input: FlexTensor,
    /// Saved if a residual was added.
    output: Option<FlexTensor>,
    affine: Arc<Affine>,
    inverse_deviation: Arc<Vec<f32>>,
    relu: bool,
    /// Receives the gradient of the residual.
    joint: Option<JointInput>,
}

impl NormState {
    /// The gradients of the input, the weight, the bias and the residual.
    fn backward(&self, gradient: FlexTensor) -> ([FlexTensor; 3], FlexTensor) {
        let size = dims(&self.input);
        let [_, channels, _, _] = size;
        let x = channels_last(&self.input);
        let output = self.output.as_ref().map(channels_last);
        let found = normalize_backward(
            Arch::new(),
            &channels_last(&gradient),
            Forward {
                x: &x,
                affine: &self.affine,
                inverse_deviation: &self.inverse_deviation,
                relu: self.relu,
                output: output.as_deref(),
            },
        );
        let residual = match found.residual {
            Some(residual) => map_from(residual, size),
            None => gradient,
        };
        let of_input = map_from(found.x, size);
        let [of_weight, of_bias] =
            [found.weight, found.bias].map(|values| tensor(values, [channels]));
        ([of_input, of_weight, of_bias], residual)
    }
}

#[derive(Debug)]
struct BatchNorm;

/// The parents are input, weight and bias, and the residual unless a joint receives its gradient.
impl<const N: usize> Backward<Flex, N> for BatchNorm {
    type State = NormState;

    fn backward(self, ops: Ops<Self::State, N>, grads: &mut Gradients, _: &mut Checkpointer) {
        let gradient = grads.consume::<Flex>(&ops.node);
        let (gradients, residual) = ops.state.backward(gradient);
        let mut gradients = Vec::from(gradients);
        match &ops.state.joint {
            Some(joint) => joint.leave(residual),
            None => gradients.push(residual),
        }
        for (node, gradient) in ops.parents.into_iter().zip(gradients) {
            if let Some(node) = node {
                grads.register::<Flex>(node.id, gradient);
            }
        }
    }
}

#[derive(Debug)]
struct MaxPool;

impl Backward<Flex, 1> for MaxPool {
    /// The dims of the input, and the tap of each largest value.
    type State = ([usize; 4], Arc<Vec<u8>>, MaxPoolOptions);

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let [parent] = ops.parents;
        let gradient = grads.consume::<Flex>(&ops.node);
        let (input, taps, options) = ops.state;
        if let Some(node) = parent {
            let gradient = max_pool_gradient(input, &taps, &gradient, options);
            grads.register::<Flex>(node.id, gradient);
        }
    }
}

#[derive(Debug)]
struct MeanPool;

impl Backward<Flex, 1> for MeanPool {
    /// The dims of the input.
    type State = [usize; 4];

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let [parent] = ops.parents;
        let gradient = grads.consume::<Flex>(&ops.node);
        if let Some(node) = parent {
            grads.register::<Flex>(node.id, mean_pool_gradient(ops.state, &gradient));
        }
    }
}

fn convolve<C: CheckpointStrategy>(
    input: FloatTensor<Autodiff<Flex, C>>,
    weight: FloatTensor<Autodiff<Flex, C>>,
    options: ConvOptions,
    joint: Option<JointInput>,
) -> FloatTensor<Autodiff<Flex, C>> {
    let prepared = Conv2d
        .prepare::<C>([input.node(), weight.node()])
        .compute_bound()
        .stateful();
    let (input, weight) = (input.into_primitive(), weight.into_primitive());
    match prepared {
        OpsKind::Tracked(prep) => {
            let input = into_channels_last(input);
            let output = Flex::flex_conv2d(input.clone(), weight.clone(), options);
            let state = ConvState {
                input,
                weight,
                options,
                joint,
            };
            prep.finish(state, output)
        }
        OpsKind::UnTracked(prep) => prep.finish(Flex::flex_conv2d(input, weight, options)),
    }
}

/// Output, mean and variance; `tensors` are input, weight and bias.
fn batch_norm<C: CheckpointStrategy, const N: usize>(
    parents: [NodeGuard; N],
    tensors: [FlexTensor; 3],
    residual: Option<FlexTensor>,
    options: NormOptions,
    joint: Option<JointInput>,
) -> [FloatTensor<Autodiff<Flex, C>>; 3] {
    let [input, weight, bias] = tensors;
    let input = into_channels_last(input);
    let found = normalize(&input, &weight, &bias, residual.as_ref(), options);
    let output = match BatchNorm.prepare::<C>(parents).compute_bound().stateful() {
        OpsKind::Tracked(prep) => {
            // The sign before the ReLU cannot be computed from the input alone.
            let hidden_sign = residual.is_some() && options.relu;
            let state = NormState {
                input,
                output: hidden_sign.then(|| found.output.clone()),
                affine: Arc::new(found.affine),
                inverse_deviation: Arc::new(found.inverse_deviation),
                relu: options.relu,
                joint,
            };
            prep.finish(state, found.output)
        }
        OpsKind::UnTracked(prep) => prep.finish(found.output),
    };
    let [mean, variance] = [found.mean, found.variance].map(Autodiff::<Flex, C>::from_inner);
    [output, mean, variance]
}

impl<C: CheckpointStrategy> FlexConv for Autodiff<Flex, C> {
    fn flex_conv2d(
        input: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        options: ConvOptions,
    ) -> FloatTensor<Self> {
        convolve::<C>(input, weight, options, None)
    }

    fn flex_conv2d_joint(
        input: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        options: ConvOptions,
        joint: JointInput,
    ) -> FloatTensor<Self> {
        convolve::<C>(input, weight, options, Some(joint))
    }

    fn flex_conv2d_affine(
        input: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        scale: FloatTensor<Self>,
        shift: FloatTensor<Self>,
        options: ConvOptions,
        relu: bool,
    ) -> FloatTensor<Self> {
        let _ = (input, weight, scale, shift, options, relu);
        panic!("conv2d_affine has no gradient: use it on a device without autodiff");
    }

    fn flex_conv2d_residual(
        input: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        scale: FloatTensor<Self>,
        shift: FloatTensor<Self>,
        _: FloatTensor<Self>,
        options: ConvOptions,
        relu: bool,
    ) -> FloatTensor<Self> {
        Self::flex_conv2d_affine(input, weight, scale, shift, options, relu)
    }

    fn flex_batch_norm(
        input: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        options: NormOptions,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let parents = [input.node(), weight.node(), bias.node()];
        let tensors = [input, weight, bias].map(|tensor| tensor.into_primitive());
        batch_norm::<C, 3>(parents, tensors, None, options, None).into()
    }

    fn flex_batch_norm_residual(
        input: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        residual: FloatTensor<Self>,
        options: NormOptions,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let parents = [input.node(), weight.node(), bias.node(), residual.node()];
        let tensors = [input, weight, bias].map(|tensor| tensor.into_primitive());
        batch_norm::<C, 4>(
            parents,
            tensors,
            Some(residual.into_primitive()),
            options,
            None,
        )
        .into()
    }

    fn flex_batch_norm_joint(
        input: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        residual: FloatTensor<Self>,
        options: NormOptions,
        joint: JointInput,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let parents = [input.node(), weight.node(), bias.node()];
        let tensors = [input, weight, bias].map(|tensor| tensor.into_primitive());
        let residual = Some(residual.into_primitive());
        batch_norm::<C, 3>(parents, tensors, residual, options, Some(joint)).into()
    }

    fn flex_max_pool2d(input: FloatTensor<Self>, options: MaxPoolOptions) -> FloatTensor<Self> {
        let prepared = MaxPool
            .prepare::<C>([input.node()])
            .compute_bound()
            .stateful();
        let input = input.into_primitive();
        let (output, taps) = max_pool(&input, options);
        match prepared {
            OpsKind::Tracked(prep) => prep.finish((dims(&input), Arc::new(taps), options), output),
            OpsKind::UnTracked(prep) => prep.finish(output),
        }
    }

    fn flex_mean_pool2d(input: FloatTensor<Self>) -> FloatTensor<Self> {
        let prepared = MeanPool
            .prepare::<C>([input.node()])
            .compute_bound()
            .stateful();
        let input = input.into_primitive();
        let size = dims(&input);
        let output = Flex::flex_mean_pool2d(input);
        match prepared {
            OpsKind::Tracked(prep) => prep.finish(size, output),
            OpsKind::UnTracked(prep) => prep.finish(output),
        }
    }
}
