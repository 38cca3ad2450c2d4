//! Lists a module's tensors by PyTorch's names, and fills them.

use std::collections::{BTreeMap, HashMap};

use burn::module::{ModuleMapper, ModuleVisitor, Param};
use burn::store::{BurnToPyTorchAdapter, ModuleAdapter, ModuleContext, bridge};
use burn::tensor::{DType, Tensor, TensorData};

/// A float tensor of a module to be filled.
pub(super) struct Target {
    /// Its path in the module.
    pub(super) path: String,
    /// Its shape in PyTorch's order.
    pub(super) shape: Vec<usize>,
    pub(super) dtype: DType,
    /// Whether Burn keeps it transposed.
    pub(super) transposed: bool,
}

/// The path of the current parameter during a visit of the module. Enum variants are not part of
/// it.
#[derive(Default)]
pub(super) struct ModulePath {
    names: Vec<String>,
    containers: Vec<String>,
}

impl ModulePath {
    fn enter(&mut self, name: &str, container: &str) {
        if !container.starts_with("Enum:") {
            self.names.push(name.to_string());
        }
        self.containers.push(container.to_string());
    }

    fn exit(&mut self, container: &str) {
        if !container.starts_with("Enum:") {
            self.names.pop();
        }
        self.containers.pop();
    }
}

/// Lists a module's float tensors by PyTorch's names. Lazy parameters stay lazy: unlike
/// burn-store's collector, this one reads shapes only.
#[derive(Default)]
pub(super) struct TargetCollector {
    path: ModulePath,
    pub(super) targets: BTreeMap<String, Target>,
}

impl ModuleVisitor for TargetCollector {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.enter(name, container);
    }

    fn exit_module(&mut self, _name: &str, container: &str) {
        self.path.exit(container);
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let dtype = match param.is_initialized() {
            true => param.base().dtype(),
            false => param.lazy_device().settings().float_dtype.into(),
        };
        let path = self.path.names.join(".");
        let shape = param.lazy_shape();
        // The adapter renames the tensors and transposes linear weights. It needs no values for
        // this.
        let context = ModuleContext::new(&self.path.containers);
        let empty = bridge::deferred(path.clone(), dtype, shape, None, || {
            unreachable!("only the name and the shape are read")
        });
        let adapted = BurnToPyTorchAdapter.adapt(empty, context);
        let transposed =
            D == 2 && path.ends_with("weight") && context.module_type() == Some("Struct:Linear");
        self.targets.insert(
            adapted.name.clone(),
            Target {
                path,
                shape: adapted.shape.to_vec(),
                dtype,
                transposed,
            },
        );
    }
}

/// Puts values into a module by path.
pub(super) struct Filler {
    pub(super) path: ModulePath,
    pub(super) values: HashMap<String, TensorData>,
}

impl ModuleMapper for Filler {
    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.enter(name, container);
    }

    fn exit_module(&mut self, _name: &str, container: &str) {
        self.path.exit(container);
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        match self.values.remove(&self.path.names.join(".")) {
            None => param,
            Some(data) => {
                let dtype = data.dtype();
                let tensor = Tensor::from_data(data, (&param.lazy_device(), dtype));
                let id = param.id;
                param.transform_for_load(tensor, id)
            }
        }
    }
}
