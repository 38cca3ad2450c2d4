use burn::tensor::Device;
use e2mc_eval::{
    EvalError, Features, LinearProbeConfig, MapProbeConfig, ProbeResult, TrainingFeatures,
    linear_probe_per_epoch, map_probe,
};

/// A kind of probe, by its settings.
pub(crate) trait ProbeKind: Clone {
    /// The settings with another seed.
    fn seeded(self, seed: u64) -> Self;

    /// Passes over the training images.
    fn epochs(&self) -> usize;

    /// Checks every setting against its range.
    fn check(&self) -> Result<(), EvalError>;

    /// Trains a probe on features of `channels` channels and tests it.
    fn train<S: TrainingFeatures>(
        &self,
        train: &mut S,
        test: &Features,
        channels: usize,
        device: &Device,
    ) -> Result<ProbeResult, S::Error>;
}

impl ProbeKind for LinearProbeConfig {
    fn seeded(self, seed: u64) -> Self {
        self.with_seed(seed)
    }

    fn epochs(&self) -> usize {
        self.epochs
    }

    fn check(&self) -> Result<(), EvalError> {
        self.validate()
    }

    fn train<S: TrainingFeatures>(
        &self,
        train: &mut S,
        test: &Features,
        _channels: usize,
        device: &Device,
    ) -> Result<ProbeResult, S::Error> {
        linear_probe_per_epoch(train, test, self, device)
    }
}

impl ProbeKind for MapProbeConfig {
    fn seeded(self, seed: u64) -> Self {
        self.with_seed(seed)
    }

    fn epochs(&self) -> usize {
        self.epochs
    }

    fn check(&self) -> Result<(), EvalError> {
        self.validate()
    }

    fn train<S: TrainingFeatures>(
        &self,
        train: &mut S,
        test: &Features,
        channels: usize,
        device: &Device,
    ) -> Result<ProbeResult, S::Error> {
        map_probe(train, test, channels, self, device)
    }
}
