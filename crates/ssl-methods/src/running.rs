//! The running statistics of all batch normalizations of a method.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Device, Tensor};

/// The fields of a batch normalization that hold them.
const NAMES: [&str; 2] = ["running_mean", "running_var"];

/// The running statistics, without a graph, one flat tensor each, in the module's order. Includes
/// updates that are pending.
pub(crate) fn running_statistics(module: &impl Module) -> Vec<Tensor<1>> {
    let mut read = Read {
        path: Vec::new(),
        found: Vec::new(),
    };
    module.valid().visit(&mut read);
    read.found
}

/// The module with other running statistics, in the order of [`running_statistics`].
///
/// # Panics
///
/// If their number is not the module's.
pub(crate) fn with_running_statistics<M: Module>(module: M, statistics: Vec<Tensor<1>>) -> M {
    // Applies pending updates, which would otherwise replace the new values later.
    drop(module.valid());
    let mut write = Write {
        path: Vec::new(),
        next: statistics.into_iter(),
    };
    let module = module.map(&mut write);
    assert!(
        write.next.next().is_none(),
        "with_running_statistics: more statistics than the module has"
    );
    module
}

/// The mean of the statistics of several replicas, on `device`.
pub(crate) fn mean_statistics(replicas: Vec<Vec<Tensor<1>>>, device: &Device) -> Vec<Tensor<1>> {
    let count = replicas.len();
    let sums = replicas.into_iter().map(|statistics| {
        let moved = statistics.into_iter().map(|x| x.to_device(device));
        moved.collect::<Vec<_>>()
    });
    let sums = sums.reduce(|sums, more| sums.into_iter().zip(more).map(|(a, b)| a + b).collect());
    let means = sums.unwrap_or_default().into_iter();
    means.map(|sum| sum / count as f64).collect()
}

fn is_running(path: &[String]) -> bool {
    let name = path.last().map(String::as_str);
    name.is_some_and(|name| NAMES.contains(&name))
}

struct Read {
    path: Vec<String>,
    found: Vec<Tensor<1>>,
}

impl ModuleVisitor for Read {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.into());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if is_running(&self.path) {
            self.found.push(param.val().flatten(0, D - 1));
        }
    }
}

struct Write {
    path: Vec<String>,
    next: std::vec::IntoIter<Tensor<1>>,
}

impl ModuleMapper for Write {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.into());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        if !is_running(&self.path) {
            return param;
        }
        let new = self.next.next();
        let new = new.expect("with_running_statistics: fewer statistics than the module has");
        param.map(|old| match old.is_autodiff() {
            true => new.reshape(old.dims()).autodiff(),
            false => new.reshape(old.dims()),
        })
    }
}
