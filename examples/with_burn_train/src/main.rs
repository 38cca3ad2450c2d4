//! Burn's `SupervisedTraining` drives VICReg with E2MC, with Burn's dashboard:
//!
//!     cd examples/with_burn_train
//!     cargo run --release [-- NUMBER_OF_IMAGES]
//!
//! VICReg keeps no state between steps and does not look at the position in a run, so it fits
//! Burn's interface. SwAV's queue and frozen prototypes do not: use your own loop for them.

mod loader;

use std::error::Error;
use std::ops::Range;
use std::sync::Arc;

use burn::module::Module;
use burn::tensor::{Device, ExecutionError, Tensor};
use burn::train::metric::{Adaptor, ItemLazy, LearningRateMetric, LossInput, LossMetric};
use burn::train::{InferenceStep, Learner, SupervisedTraining, TrainOutput, TrainStep};
use e2mc_data::source::Subset;
use e2mc_data::{Loader, Recipe, fashion_mnist};
use e2mc_loss::{E2mcLoss, E2mcLossConfig};
use e2mc_resnet::{BlockKind, ResNetConfig, Stem};
use ssl_methods::optim::{LrSchedule, SgdConfig};
use ssl_methods::vicreg::{VicReg, VicRegConfig};
use ssl_methods::{BaseMethod, MethodOutput, RunPosition};

use loader::Views;

/// For metrics, the log and the trained network.
const FOLDER: &str = "runs/with_burn_train";
const EPOCHS: usize = 2;
const BATCH: usize = 64;

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
    let argument = std::env::args().nth(1);
    let n = argument.map_or(Ok(2560), |images| images.parse::<usize>())?;
    let device = Device::flex();
    device.seed(0);
    let stem = Stem::Small {
        kernel: 3,
        stride: 2,
    };
    let backbone = ResNetConfig::new(BlockKind::Basic, [1, 1, 1, 1])
        .with_width(8)
        .with_in_channels(1)
        .with_stem(stem);
    let model = Trained {
        method: VicRegConfig::new(backbone, vec![64, 64]).init(&device.clone().autodiff()),
        criterion: E2mcLossConfig::vicreg().init(),
    };

    let images = Arc::new(fashion_mnist::embedded_train());
    let views = |range: Range<usize>, device: &Device| -> e2mc_data::Result<_> {
        let part = Subset::new(images.clone(), range.collect());
        let loader = Loader::new(Arc::new(part), Recipe::vicreg_small(), BATCH, 0)?;
        Ok(Arc::new(Views::new(loader, device)))
    };
    let train = views(0..n, &device.clone().autodiff())?;
    let valid = views(n..n + 2 * BATCH, &device)?;
    let training = SupervisedTraining::new(FOLDER, train, valid)
        .metrics((LossMetric::new(),))
        .metric_train_numeric(LearningRateMetric::new())
        .num_epochs(EPOCHS)
        .summary();

    let optimizer = SgdConfig::new().with_momentum(0.9).init();
    let schedule = LrSchedule::cosine(0.01, 0.0, EPOCHS * (n / BATCH))?;
    let trained = training.launch(Learner::new(model, optimizer, schedule));
    if let Some(error) = trained.error {
        return Err(error.to_string().into());
    }
    let path = format!("{FOLDER}/vicreg.safetensors");
    trained.model.method.save(&path)?;
    println!("the trained network is in {path}");
    Ok(())
}
