//! Golden files and comparison.
#![allow(dead_code, reason = "each test binary uses its own part")]

use std::collections::BTreeMap;
use std::path::PathBuf;

use burn::module::{Module, ModuleVisitor, Param};
use burn::prelude::*;
use burn::store::{ModuleStore, SafetensorsStore, bridge};
use burn::tensor::Gradients;

/// A file made by tests/reference/resnet.py.
pub fn reference(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/reference/resnet")
        .join(name)
}

/// The tensors of a golden file.
pub struct Golden {
    tensors: BTreeMap<String, TensorData>,
}

impl Golden {
    pub fn open(name: &str) -> Self {
        let mut store = SafetensorsStore::from_file(reference(name)).map_indices_contiguous(false);
        let tensors = store
            .get_all_tensors()
            .unwrap()
            .iter()
            .map(|(name, tensor)| (name.clone(), bridge::to_data(tensor).unwrap()))
            .collect();
        Self { tensors }
    }

    pub fn data(&self, name: &str) -> &TensorData {
        self.tensors
            .get(name)
            .unwrap_or_else(|| panic!("no golden tensor {name}"))
    }

    pub fn tensor<const D: usize>(&self, name: &str, device: &Device) -> Tensor<D> {
        Tensor::from_data(self.data(name).clone(), device)
    }

    /// Names under a prefix, without it.
    pub fn names(&self, prefix: &str) -> Vec<String> {
        self.tensors
            .keys()
            .filter_map(|name| name.strip_prefix(prefix))
            .map(str::to_string)
            .collect()
    }

    /// Asserts that shapes agree and that `|found - golden| <= tolerance * |golden|` in the
    /// Euclidean norm.
    pub fn assert_close<const D: usize>(&self, name: &str, found: Tensor<D>, tolerance: f64) {
        let golden = self.data(name);
        assert_eq!(golden.shape().to_vec(), found.dims().to_vec(), "{name}");
        let found = found
            .into_data()
            .convert::<f32>()
            .try_into_vec::<f32>()
            .unwrap();
        let difference =
            relative_difference(&found, &golden.clone().try_into_vec::<f32>().unwrap());
        assert!(
            difference <= tolerance,
            "{name}: relative difference {difference:.2e} above {tolerance:.0e}"
        );
    }
}

/// `|found - expected| / |expected|`.
pub fn relative_difference(found: &[f32], expected: &[f32]) -> f64 {
    assert_eq!(found.len(), expected.len());
    let norm = |values: &mut dyn Iterator<Item = f64>| values.map(|v| v * v).sum::<f64>().sqrt();
    let difference = norm(
        &mut found
            .iter()
            .zip(expected)
            .map(|(a, b)| *a as f64 - *b as f64),
    );
    difference / norm(&mut expected.iter().map(|v| *v as f64)).max(1e-30)
}

/// The values of all float tensors of a module (parameters and running statistics) by path.
pub fn values<M: Module>(module: &M) -> BTreeMap<String, Vec<f32>> {
    let mut visitor = ByName::default();
    module.visit(&mut visitor);
    visitor.found
}

/// The gradients of a module's parameters by path.
pub fn gradients<M: Module>(module: &M, gradients: &Gradients) -> BTreeMap<String, Vec<f32>> {
    let mut visitor = ByName {
        gradients: Some(gradients),
        ..ByName::default()
    };
    module.visit(&mut visitor);
    visitor.found
}

#[derive(Default)]
struct ByName<'a> {
    path: Vec<String>,
    gradients: Option<&'a Gradients>,
    found: BTreeMap<String, Vec<f32>>,
}

impl ModuleVisitor for ByName<'_> {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.to_string());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let tensor = match self.gradients {
            None => Some(param.val()),
            Some(gradients) => param.val().grad(gradients),
        };
        if let Some(tensor) = tensor {
            let values = tensor.into_data().convert::<f32>().try_into_vec().unwrap();
            self.found.insert(self.path.join("."), values);
        }
    }
}
