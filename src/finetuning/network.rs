use burn::lr_scheduler::module_lr_scheduler::ModuleLrScheduler;
use burn::module::{Initializer, Module, ParamGroup};
use burn::nn::{Linear, LinearConfig};
use burn::optim::{GradientsParams, ModuleOptimizer};
use burn::tensor::activation::log_softmax;
use burn::tensor::{Device, Int, Tensor, TensorData};
use e2mc_resnet::ResNet;
use ssl_methods::optim::LrSchedule;

use super::FinetuneSettings;
use crate::{Error, Result, seeded};

/// Standard deviation of the classifier's initial weights (App. B.2).
const HEAD_STD: f64 = 0.01;
/// The k of top-k accuracy.
const TOP: usize = 5;

/// A backbone with a linear classifier.
#[derive(Module, Debug)]
pub(super) struct Network {
    backbone: ResNet,
    head: Linear,
}

impl Network {
    /// A classifier with weights from N(0, 0.01) and bias 0 on a backbone.
    pub(super) fn new(
        backbone: ResNet,
        classes: usize,
        seed: u64,
        device: &Device,
    ) -> Result<Self> {
        let features = backbone.out_features();
        let head = seeded(device, seed, || {
            let (mean, std) = (0.0, HEAD_STD);
            let config = LinearConfig::new(features, classes);
            let config = config.with_initializer(Initializer::Normal { mean, std });
            let mut head = config.init(device);
            head.bias = head.bias.map(|bias| bias.map(|bias| bias.zeros_like()));
            Ok::<_, Error>(head)
        })?;
        Ok(Self { backbone, head })
    }

    /// Scores `[n, classes]` of images `[n, channels, h, w]`.
    fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        self.head.forward(self.backbone.forward(images))
    }

    /// The learning rates of an epoch.
    pub(super) fn rates(
        &self,
        settings: &FinetuneSettings,
        epoch: usize,
    ) -> Result<ModuleLrScheduler> {
        let share = settings.share_at(epoch);
        let backbone = LrSchedule::constant(share * settings.backbone_rate)?;
        let head = LrSchedule::constant(share * settings.head_rate)?;
        let of_head = ParamGroup::ids_from_module(self.head.clone());
        Ok(ModuleLrScheduler::new(backbone).with_group(of_head, head))
    }

    /// Takes a step of SGD on the cross-entropy of a batch. Returns the sum of the losses, `[1]`.
    pub(super) fn step(
        self,
        images: Tensor<4>,
        labels: &[u32],
        rates: &mut ModuleLrScheduler,
        optimizer: &mut ModuleOptimizer,
    ) -> (Self, Tensor<1>) {
        let device = images.device();
        let n = labels.len();
        let labels = labels.iter().map(|&label| label as i32).collect();
        let labels = Tensor::<1, Int>::from_data(TensorData::new(labels, [n]), &device);
        let log_probabilities = log_softmax(self.forward(images), 1);
        let loss = log_probabilities.gather(1, labels.reshape([n, 1]));
        let loss = loss.mean().neg();
        let gradients = GradientsParams::from_grads(loss.backward(), &self);
        let network = optimizer.step(rates.step(), self, gradients);
        (network, loss.detach() * n as f64)
    }

    /// The class with the highest score of each image, and whether the label is among the five
    /// highest.
    pub(super) fn classify(&self, images: Tensor<4>, labels: &[u32]) -> (Vec<u32>, Vec<bool>) {
        let scores = self.forward(images);
        let [_, classes] = scores.dims();
        let scores: Vec<f32> = scores.into_data().iter().collect();
        let rows = scores.chunks_exact(classes).zip(labels);
        rows.map(|(scores, &label)| {
            let of_label = scores[label as usize];
            let higher = scores.iter().filter(|&&score| score > of_label).count();
            // Ties go to the first class.
            let mut best = 0;
            for (class, &score) in scores.iter().enumerate() {
                if score > scores[best] {
                    best = class;
                }
            }
            (best as u32, higher < TOP)
        })
        .unzip()
    }
}
