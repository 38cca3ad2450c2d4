//! Burn's `SupervisedTraining` drives VICReg with E2MC, with Burn's dashboard:
//!
//!     cd examples/with_burn_train
//!     cargo run --release
//!
//! VICReg keeps no state between steps and does not look at the position in a run, so it fits
//! Burn's interface. SwAV's queue and frozen prototypes do not: use your own loop for them.

mod loader;

use std::error::Error;
use std::sync::Arc;

use burn::module::Module;
use burn::tensor::{Device, ExecutionError, Tensor};
use burn::train::metric::{Adaptor, ItemLazy, LearningRateMetric, LossInput, LossMetric};
use burn::train::{InferenceStep, Learner, SupervisedTraining, TrainOutput, TrainStep};
use e2mc_data::source::Subset;
use e2mc_data::{Loader, Recipe, fashion_mnist};
use e2mc_loss::{CompactSpace, E2mcLoss, E2mcLossConfig};
use e2mc_resnet::{BlockKind, ResNetConfig, Stem};
use ssl_methods::optim::{LrSchedule, SgdConfig};
use ssl_methods::vicreg::{VicReg, VicRegConfig};
use ssl_methods::{BaseMethod, MethodOutput, RunPosition};

use loader::Views;

/// A method and a criterion.
#[derive(Module, Debug)]
struct Trained {
    method: VicReg,
    criterion: E2mcLoss,
}

impl Trained {
    fn loss(&self, output: &MethodOutput) -> Tensor<1> {
        output.loss.clone() + self.criterion.forward(&output.embeddings).loss
    }
}

impl TrainStep for Trained {
    type Input = Vec<Tensor<4>>;
    type Output = Loss;

    fn step(&self, views: Vec<Tensor<4>>) -> TrainOutput<Loss> {
        // Shares parameters and running statistics.
        let mut method = self.method.clone();
        let step = method.step(views, RunPosition::default(), |output| self.loss(output));
        TrainOutput {
            grads: step.gradients,
            item: Loss(step.loss),
        }
    }
}

impl InferenceStep for Trained {
    type Input = Vec<Tensor<4>>;
    type Output = Loss;

    fn step(&self, views: Vec<Tensor<4>>) -> Loss {
        let output = self.method.clone().forward(views, RunPosition::default());
        Loss(self.loss(&output))
    }
}

/// The total loss, for the dashboard.
struct Loss(Tensor<1>);

impl ItemLazy for Loss {
    fn sync(self) -> Result<Self, ExecutionError> {
        self.0.device().flush()?;
        Ok(self)
    }
}

impl Adaptor<LossInput> for Loss {
    fn adapt(&self) -> LossInput {
        LossInput::new(self.0.clone())
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let device = Device::flex();
    device.seed(0);
    let backbone = ResNetConfig::new(BlockKind::Basic, [1, 1, 1, 1])
        .with_width(8)
        .with_in_channels(1)
        .with_stem(Stem::Small {
            kernel: 3,
            stride: 2,
        });
    let model = Trained {
        method: VicRegConfig::new(backbone, vec![64, 64]).init(&device.clone().autodiff()),
        criterion: E2mcLossConfig::new(CompactSpace::Hypercube).init(),
    };

    let images = Arc::new(fashion_mnist::embedded_train());
    let loader = |range: std::ops::Range<usize>, device: &Device| -> Result<_, Box<dyn Error>> {
        let part = Subset::new(images.clone(), range.collect());
        let loader = Loader::new(Arc::new(part), Recipe::vicreg_small(), 128, 0)?;
        Ok(Arc::new(Views::new(loader, device)))
    };
    let training = SupervisedTraining::new(
        "runs/with_burn_train",
        loader(0..1280, &device.clone().autodiff())?,
        loader(1280..1536, &device)?,
    )
    .metrics((LossMetric::new(),))
    .metric_train_numeric(LearningRateMetric::new())
    .num_epochs(2)
    .summary();

    let optimizer = SgdConfig::new().with_momentum(0.9).init();
    let schedule = LrSchedule::cosine(0.01, 0.0, 20)?;
    let trained = training.launch(Learner::new(model, optimizer, schedule));
    if let Some(error) = trained.error {
        return Err(error.to_string().into());
    }
    trained.model.method.save("runs/with_burn_train/vicreg.safetensors")?;
    Ok(())
}
