use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;

/// The norm of the gradients of all parameters, `[1]`, without graph. Infinite or NaN if a gradient
/// is; 0 without gradients.
pub(super) fn gradient_norm(module: &impl Module, gradients: &GradientsParams) -> Tensor<1> {
    let mut squares = Squares {
        gradients,
        squares: Vec::new(),
    };
    module.visit(&mut squares);
    match squares.squares.is_empty() {
        true => Tensor::zeros([1], &module.devices()[0].clone().inner()),
        false => Tensor::cat(squares.squares, 0).sum().sqrt(),
    }
}

struct Squares<'a> {
    gradients: &'a GradientsParams,
    squares: Vec<Tensor<1>>,
}

impl ModuleVisitor for Squares<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = self.gradients.get::<D>(param.id) {
            self.squares.push(gradient.square().sum());
        }
    }
}
