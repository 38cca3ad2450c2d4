use burn::tensor::Device;
use e2mc_resnet::{Checkpoint, ResNetConfig, Stem};
use ssl_methods::BaseMethod;
use ssl_methods::barlow_twins::{BarlowTwins, BarlowTwinsConfig};
use ssl_methods::simsiam::{SimSiam, SimSiamConfig};
use ssl_methods::swav::{Swav, SwavConfig};
use ssl_methods::vicreg::{VicReg, VicRegConfig};

use crate::plan::{CheckpointStart, MethodPlan, Network, Start};
use crate::{Plan, Result};

/// A base method that a plan can start, from a checkpoint or from scratch.
pub trait StartMethod: BaseMethod + Sized {
    /// Creates the method with the plan's settings, from `checkpoint` if the plan starts from one.
    ///
    /// # Errors
    ///
    /// If a setting is out of range, or the checkpoint does not contain the method.
    fn start(
        plan: &Plan,
        checkpoint: Option<&Checkpoint>,
        steps_per_epoch: usize,
        device: &Device,
    ) -> Result<Self>;
}

/// The network of a plan from scratch.
///
/// # Panics
///
/// If the plan starts from a checkpoint.
fn scratch(plan: &Plan) -> &Network {
    match &plan.start {
        Start::Scratch(network) => network,
        Start::Checkpoint(start) => panic!("{} was not opened", start.path.display()),
    }
}

/// Gives a small stem the stride and padding of the start, if stated.
pub(super) fn set_stem(backbone: &mut ResNetConfig, start: &CheckpointStart) {
    if let Stem::Small { stride, .. } = &mut backbone.stem {
        *stride = start.stem_stride.unwrap_or(*stride);
        backbone.stem_padding = start.stem_padding.or(backbone.stem_padding);
    }
}

/// Implements [`StartMethod`] for a method without settings beyond its sizes.
macro_rules! start_method {
    ($method:ident, $config:ident, $network:ident => $scratch:expr, $set:expr) => {
        impl StartMethod for $method {
            fn start(
                plan: &Plan,
                checkpoint: Option<&Checkpoint>,
                steps_per_epoch: usize,
                device: &Device,
            ) -> Result<Self> {
                let set: fn(&mut $config, &Plan, usize) = $set;
                Ok(match checkpoint {
                    Some(checkpoint) => {
                        let mut config = $config::from_checkpoint(checkpoint)?;
                        if let Start::Checkpoint(start) = &plan.start {
                            set_stem(&mut config.backbone, start);
                        }
                        set(&mut config, plan, steps_per_epoch);
                        $method::from_checkpoint(checkpoint, &config, device)?
                    }
                    None => {
                        let $network = scratch(plan).clone();
                        let mut config = $scratch;
                        set(&mut config, plan, steps_per_epoch);
                        config.validate()?;
                        config.init(device)
                    }
                })
            }
        }
    };
}

start_method!(
    Swav,
    SwavConfig,
    network => SwavConfig::new(network.backbone, network.projector, network.prototypes),
    |config, plan, steps_per_epoch| {
        if let MethodPlan::Swav(swav) = &plan.method {
            config.freeze_prototypes_steps = swav.freeze_prototypes_epochs * steps_per_epoch;
            config.queue = swav.queue.map(|queue| queue.config(plan.batch_size));
        }
        config.full_crops = plan.recipe.views.first().map_or(0, |view| view.count);
    }
);
start_method!(
    VicReg,
    VicRegConfig,
    network => VicRegConfig::new(network.backbone, network.projector),
    |_, _, _| {}
);
start_method!(
    SimSiam,
    SimSiamConfig,
    network => SimSiamConfig::new(network.backbone, network.projector, network.predictor),
    |_, _, _| {}
);
start_method!(
    BarlowTwins,
    BarlowTwinsConfig,
    network => BarlowTwinsConfig::new(network.backbone, network.projector),
    |_, _, _| {}
);
