//! Tiny networks with random weights, one of each method.

use burn::module::Module;
use burn::prelude::*;
use burn::tensor::Distribution;
use e2mc_resnet::{BlockKind, ResNetConfig, Stem};
use ssl_methods::barlow_twins::BarlowTwinsConfig;
use ssl_methods::simsiam::SimSiamConfig;
use ssl_methods::swav::SwavConfig;
use ssl_methods::vicreg::VicRegConfig;

pub fn backbone() -> ResNetConfig {
    ResNetConfig::new(BlockKind::Basic, [1, 1, 1, 1])
        .with_width(4)
        .with_in_channels(1)
        .with_stem(Stem::Small {
            kernel: 3,
            stride: 2,
        })
}

pub fn swav() -> SwavConfig {
    SwavConfig::new(backbone(), vec![16, 8], 10)
}

pub fn vicreg() -> VicRegConfig {
    VicRegConfig::new(backbone(), vec![24, 24, 20])
}

pub fn simsiam() -> SimSiamConfig {
    SimSiamConfig::new(backbone(), vec![16, 16, 16], vec![8])
}

pub fn barlow_twins() -> BarlowTwinsConfig {
    BarlowTwinsConfig::new(backbone(), vec![24, 24, 20])
}

/// Calls `$body` for each method, with the method as `$method`, the sizes of its views as `$sizes`,
/// and its autodiff device as `$device`.
macro_rules! each_method {
    (|$method:ident, $sizes:ident, $device:ident| $body:expr) => {{
        let $device = burn::tensor::Device::default().autodiff();
        {
            let ($method, $sizes): (_, &[usize]) =
                (crate::small::swav().init(&$device), &[16, 16, 8, 8]);
            $body
        }
        {
            let ($method, $sizes): (_, &[usize]) =
                (crate::small::vicreg().init(&$device), &[16, 16]);
            $body
        }
        {
            let ($method, $sizes): (_, &[usize]) =
                (crate::small::simsiam().init(&$device), &[16, 16]);
            $body
        }
        {
            let ($method, $sizes): (_, &[usize]) =
                (crate::small::barlow_twins().init(&$device), &[16, 16]);
            $body
        }
    }};
}
pub(crate) use each_method;

/// Views of `n` random images, one of each size.
pub fn random_views(n: usize, sizes: &[usize], device: &Device) -> Vec<Tensor<4>> {
    sizes
        .iter()
        .map(|&size| Tensor::random([n, 1, size, size], Distribution::Default, device))
        .collect()
}

/// A method with the same weights and running statistics, without sharing them.
pub fn twin<M: Module>(method: &M, fresh: M) -> M {
    fresh.load_record(method.valid().into_record())
}
