//! Any base method trains with any criterion.

use burn::module::Module;
use burn::optim::GradientsParams;
use e2mc_loss::E2mcLossConfig;
use ssl_methods::criterion::{CriterionConfig, MmcrConfig, UniformityConfig, VcRegConfig};
use ssl_methods::optim::SgdConfig;
use ssl_methods::{BaseMethod, RunPosition};

use crate::golden::{named_values, scalar};
use crate::small::{each_method, random_views};

fn criteria() -> [CriterionConfig; 5] {
    [
        CriterionConfig::None,
        CriterionConfig::E2mc(E2mcLossConfig::swav()),
        CriterionConfig::VcReg(VcRegConfig::new()),
        CriterionConfig::Uniformity(UniformityConfig::new()),
        CriterionConfig::Mmcr(MmcrConfig::new()),
    ]
}

#[test]
fn every_method_trains_with_every_criterion() {
    for config in criteria() {
        let criterion = config.init();
        each_method!(|method, sizes, device| {
            let mut method = method;
            let name = format!("{} with {config:?}", method.name());
            let views = random_views(6, sizes, &device);
            let before = named_values(&method.valid(), None);
            let mut optimizer = SgdConfig::new().init();
            let mut losses = Vec::new();
            for iteration in 0..8 {
                let position = RunPosition {
                    epoch: 0,
                    iteration,
                };
                method.before_step();
                let output = method.forward(views.clone(), position);
                let add_on = criterion.forward(&output.embeddings, &output.small_crops);
                assert_eq!(add_on.is_none(), config == CriterionConfig::None);
                let loss = match add_on {
                    Some(add_on) => output.loss + add_on.loss,
                    None => output.loss,
                };
                let mut gradients = GradientsParams::from_grads(loss.backward(), &method);
                method.after_gradients(&mut gradients, position);
                method = optimizer.step(1e-3, method, gradients);
                losses.push(scalar(loss));
            }
            assert!(
                losses.iter().all(|loss| loss.is_finite()),
                "{name}: {losses:?}"
            );
            assert!(
                losses.iter().any(|loss| loss < &losses[0]),
                "{name}: {losses:?}"
            );
            let after = named_values(&method.valid(), None);
            let moved = before.iter().zip(&after).filter(|(a, b)| a != b).count();
            assert!(moved > before.len() / 2, "{name}: {moved} tensors moved");
        });
    }
}

#[test]
fn configurations_survive_json_and_bad_ones_are_named() {
    for config in criteria() {
        let json = serde_json::to_string(&config).unwrap();
        assert_eq!(
            serde_json::from_str::<CriterionConfig>(&json).unwrap(),
            config
        );
    }
    for (config, message) in [
        (
            CriterionConfig::VcReg(VcRegConfig::new().with_variance_weight(-1.0)),
            "variance_weight is -1.0",
        ),
        (
            CriterionConfig::VcReg(VcRegConfig::new().with_covariance_weight(f64::NAN)),
            "covariance_weight is NaN",
        ),
        (
            CriterionConfig::Uniformity(UniformityConfig::new().with_sharpness(0.0)),
            "sharpness is 0.0",
        ),
        (
            CriterionConfig::Mmcr(MmcrConfig::new().with_weight(f64::INFINITY)),
            "weight is inf",
        ),
        (
            CriterionConfig::E2mc(E2mcLossConfig::swav().with_entropy_weight(-1.0)),
            "entropy_weight",
        ),
    ] {
        let error = config.validate().unwrap_err().to_string();
        assert!(error.contains(message), "{error}");
    }
}
