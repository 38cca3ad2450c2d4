//! Reading a method from a checkpoint: sizes first, then values.

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::Tensor;
use e2mc_resnet::checkpoint::ShapeMismatch;
use e2mc_resnet::{Checkpoint, CheckpointError};

use crate::{MethodError, Result};

/// Loads all parameters and running statistics of a fresh method.
///
/// # Errors
///
/// If tensors are missing, misshapen, damaged or not finite.
pub(crate) fn load<M: Module>(mut method: M, checkpoint: &Checkpoint) -> Result<M> {
    checkpoint.load_into(&mut method, "")?;
    match first_not_finite(&method) {
        None => Ok(method),
        Some(name) => Err(MethodError::NotFinite {
            path: checkpoint.path().display().to_string(),
            name,
        }),
    }
}

/// Implements what every method has besides [`BaseMethod`](crate::BaseMethod): `init`,
/// `init_with_backbone`, `from_checkpoint` and `config`. The configuration has a `build` that
/// creates the method from valid options and a backbone.
macro_rules! constructors {
    ($method:ident, $config:ident) => {
        impl $config {
            /// Creates the method with PyTorch's initialization.
            ///
            /// # Panics
            ///
            /// If an option is out of range, with the message of [`validate`](Self::validate).
            /// Call that first for options from outside the program.
            pub fn init(&self, device: &burn::tensor::Device) -> $method {
                crate::error::assert_valid(self.validate());
                self.build(self.backbone.init(device), device)
            }

            /// Creates the method with another backbone than the ResNet of this configuration,
            /// whose `backbone` is then not used. To continue a checkpoint, load it into the
            /// method with [`load_into`](e2mc_resnet::Checkpoint::load_into).
            ///
            /// # Panics
            ///
            /// As [`init`](Self::init).
            pub fn init_with_backbone<B: e2mc_resnet::Backbone>(
                &self,
                backbone: B,
                device: &burn::tensor::Device,
            ) -> $method<B> {
                crate::error::assert_valid(self.validate());
                self.build(backbone, device)
            }
        }

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
                config.validate()?;
                crate::checkpoint::load(config.init(device), checkpoint)
            }

        }

        impl<B> $method<B> {
            /// The options.
            pub fn config(&self) -> &$config {
                &self.config
            }
        }
    };
}

pub(crate) use constructors;

/// The sizes `[hidden, ..., out]` of the [`Mlp`](crate::Mlp) under `prefix`, whose input has size
/// `input`. Its linear layers are every third, from 0 on.
///
/// # Errors
///
/// If the first is missing, or the shapes of consecutive layers do not match.
pub(crate) fn mlp_sizes(checkpoint: &Checkpoint, prefix: &str, input: usize) -> Result<Vec<usize>> {
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
pub(crate) fn rows_of(checkpoint: &Checkpoint, name: &str, columns: usize) -> Result<usize> {
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
