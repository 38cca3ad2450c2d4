//! All implementations of the criterion. One suite runs on each.

use burn::tensor::{Device, Tensor, TensorData};
use e2mc_loss::{E2mcLoss, E2mcOutput};

use super::{scalar, values};

/// One way to compute the criterion.
#[derive(Clone)]
pub struct Engine {
    pub name: &'static str,
    /// With autodiff.
    pub device: Device,
    /// Whether it is the fused operation, whose gradients of tied values follow the documented
    /// rule.
    pub fused: bool,
    /// The largest view, in elements, that a test should give it.
    pub capacity: usize,
}

/// All engines of this build.
pub fn engines() -> Vec<Engine> {
    let composed = Engine {
        name: "composed",
        device: Device::flex().autodiff(),
        fused: false,
        capacity: usize::MAX,
    };
    vec![
        #[cfg(feature = "flex")]
        Engine {
            name: "fused",
            fused: true,
            ..composed.clone()
        },
        // The GPU backend of this build; CUDA if there are several.
        #[cfg(feature = "cubecl")]
        Engine {
            name: "gpu",
            device: Device::default().autodiff(),
            fused: true,
            // Without CUDA, the driver may be a software one.
            capacity: if cfg!(feature = "cuda") {
                1 << 23
            } else {
                1 << 16
            },
        },
        composed,
    ]
}

impl Engine {
    /// A tensor of shape \[n, d\].
    pub fn tensor(&self, z: &[f32], n: usize, d: usize) -> Tensor<2> {
        Tensor::from_data(TensorData::new(z.to_vec(), [n, d]), &self.device)
    }

    /// An autodiff leaf of shape \[n, d\].
    pub fn leaf(&self, z: &[f32], n: usize, d: usize) -> Tensor<2> {
        self.tensor(z, n, d).require_grad()
    }

    /// The criterion.
    pub fn forward(&self, criterion: &E2mcLoss, views: &[Tensor<2>]) -> E2mcOutput {
        if self.fused {
            criterion.forward(views)
        } else {
            criterion.forward_composed(views)
        }
    }

    /// The loss of one view and its gradient.
    pub fn loss(&self, criterion: &E2mcLoss, z: &[f32], n: usize, d: usize) -> (f32, Vec<f32>) {
        let z = self.leaf(z, n, d);
        let loss = self.forward(criterion, std::slice::from_ref(&z)).loss;
        let gradients = loss.backward();
        let gradient = z.grad(&gradients).expect("the loss depends on z");
        (scalar(loss), values(gradient))
    }
}
