//! Reading a method from a checkpoint: sizes first, then values.

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::Tensor;
use e2mc_resnet::checkpoint::ShapeMismatch;
use e2mc_resnet::{Checkpoint, CheckpointError, ResNetConfig, Stem};

use crate::MethodError;
use crate::error::{ONE, check};

/// Loads all parameters and running statistics of a fresh method.
///
/// # Errors
///
/// If tensors are missing, misshapen, damaged or not finite.
pub(crate) fn load<M: Module>(mut method: M, checkpoint: &Checkpoint) -> Result<M, MethodError> {
    checkpoint.load_into(&mut method, "")?;
    match first_not_finite(&method) {
        None => Ok(method),
        Some(name) => Err(MethodError::NotFinite {
            path: checkpoint.path().display().to_string(),
            name,
        }),
    }
}

/// Implements the functions of every method outside [`BaseMethod`](crate::BaseMethod):
/// `from_checkpoint` and `config`.
macro_rules! from_checkpoint {
    ($method:ident, $config:ident) => {
        impl $method {
            #[doc = concat!(
                                        "Creates the method of `config`, usually that of \
                 [`", stringify!($config), "::from_checkpoint`] with other options ",
                                        "set, and loads all parameters and running statistics."
                                    )]
            ///
            /// # Errors
            ///
            /// If an option is out of range, or tensors are missing, misshapen, damaged or not
            /// finite.
            pub fn from_checkpoint(
                checkpoint: &e2mc_resnet::Checkpoint,
                config: &$config,
                device: &burn::tensor::Device,
            ) -> Result<Self, crate::MethodError> {
                crate::checkpoint::load(config.init(device)?, checkpoint)
            }

            /// The options.
            pub fn config(&self) -> &$config {
                &self.config
            }
        }
    };
}

pub(crate) use from_checkpoint;

/// The sizes `[hidden, ..., out]` of the [`Mlp`](crate::Mlp) under `prefix`, whose input has size
/// `input`. Its linear layers are every third, from 0 on.
///
/// # Errors
///
/// If the first is missing, or the shapes of consecutive layers do not match.
pub(crate) fn mlp_sizes(
    checkpoint: &Checkpoint,
    prefix: &str,
    input: usize,
) -> Result<Vec<usize>, MethodError> {
    let mut sizes = vec![rows_of(checkpoint, &format!("{prefix}.0.weight"), input)?];
    loop {
        let name = format!("{prefix}.{}.weight", 3 * sizes.len());
        match checkpoint.shape(&name) {
            None => return Ok(sizes),
            Some(_) => sizes.push(rows_of(checkpoint, &name, sizes[sizes.len() - 1])?),
        }
    }
}

/// The number of rows of a matrix in the checkpoint that should have `columns` columns. Checked
/// before anything is allocated, so that a method is never larger than its file.
pub(crate) fn rows_of(
    checkpoint: &Checkpoint,
    name: &str,
    columns: usize,
) -> Result<usize, MethodError> {
    let path = checkpoint.path().to_path_buf();
    match checkpoint.shape(name).as_deref() {
        Some(&[rows, found]) if found == columns => Ok(rows),
        Some(found) => Err(CheckpointError::MisshapenTensors {
            path,
            tensors: vec![ShapeMismatch {
                name: name.to_string(),
                expected: vec![found.first().copied().unwrap_or(1), columns],
                found: found.to_vec(),
            }],
        }
        .into()),
        None => Err(CheckpointError::MissingTensors {
            path,
            layout: checkpoint.layout().to_string(),
            names: vec![name.to_string()],
            available: checkpoint.tensors().count(),
        }
        .into()),
    }
}

/// Returns an error where [`ResNetConfig::init`] would panic.
pub(crate) fn validate_backbone(backbone: &ResNetConfig) -> Result<(), MethodError> {
    check(
        backbone.layers.iter().all(|&n| n > 0),
        "backbone.layers",
        backbone.layers,
        "at least one block in each stage",
    )?;
    check(backbone.width > 0, "backbone.width", backbone.width, ONE)?;
    check(
        backbone.in_channels > 0,
        "backbone.in_channels",
        backbone.in_channels,
        ONE,
    )?;
    match backbone.stem {
        Stem::ImageNet => Ok(()),
        Stem::Small { kernel, stride } => check(
            kernel % 2 == 1 && stride > 0,
            "backbone.stem",
            backbone.stem,
            "an odd kernel and a stride of at least 1",
        ),
    }
}

/// The path of the first parameter with NaN or infinity.
fn first_not_finite(module: &impl Module) -> Option<String> {
    #[derive(Default)]
    struct Search {
        path: Vec<String>,
        found: Option<String>,
    }
    impl ModuleVisitor for Search {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if self.found.is_none() && !param.val().is_finite().all().into_scalar::<bool>() {
                self.found = Some(self.path.join("."));
            }
        }
        fn enter_module(&mut self, name: &str, _container_type: &str) {
            self.path.push(name.to_string());
        }
        fn exit_module(&mut self, _name: &str, _container_type: &str) {
            self.path.pop();
        }
    }
    let mut search = Search::default();
    module.visit(&mut search);
    search.found
}
