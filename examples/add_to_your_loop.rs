//! E2MC in a plain Burn training loop. Only the lines marked "E2MC" are needed for it.
//!
//!     cargo run --release --example add_to_your_loop

use std::error::Error;
use std::sync::Arc;

use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::optim::{AdamConfig, GradientsParams};
use burn::tensor::{Device, Tensor, activation::relu};
use e2mc::data::{Loader, Recipe, fashion_mnist};
use e2mc::loss::{CompactSpace, E2mcLossConfig};

/// Your network, from images to the projector's output.
#[derive(Module, Debug)]
struct Network {
    encoder: Linear,
    projector: Linear,
}

impl Network {
    /// `[n, 1, 28, 28]` to `[n, 32]`, not normalized.
    fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        let features = relu(self.encoder.forward(images.flatten(1, 3)));
        self.projector.forward(features)
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let device = Device::flex().autodiff();
    device.seed(0);
    let mut network = Network {
        encoder: LinearConfig::new(28 * 28, 128).init(&device),
        projector: LinearConfig::new(128, 32).init(&device),
    };
    let mut optimizer = AdamConfig::new().init();
    let criterion = E2mcLossConfig::new(CompactSpace::Hypercube).init(); // E2MC

    let images = Arc::new(fashion_mnist::embedded_train());
    let loader = Loader::new(images, Recipe::vicreg_small(), 256, 0)?;
    for (step, batch) in loader.epoch(0, &device).enumerate() {
        let z: Vec<_> = (batch?.views.into_iter().map(|view| network.forward(view))).collect();
        let base_loss = (z[0].clone() - z[1].clone()).square().mean(); // your method's loss
        let e2mc = criterion.forward(&z); // E2MC
        let loss = base_loss + e2mc.loss; // E2MC

        let gradients = GradientsParams::from_grads(loss.backward(), &network);
        network = optimizer.step(1e-3, network, gradients);
        if step % 10 == 0 {
            let (entropy, covariance): (f32, f32) =
                (e2mc.entropy.into_scalar(), e2mc.covariance.into_scalar());
            println!("step {step}: entropy {entropy:.3}, covariance {covariance:.4}");
        }
    }
    Ok(())
}
