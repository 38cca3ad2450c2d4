//! Reading golden files, and comparing with them.

use std::path::{Path, PathBuf};

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::prelude::*;
use e2mc_resnet::{Checkpoint, Stem};
use safetensors::{Dtype, SafeTensors};
use serde_json::Value;
use ssl_methods::swav::{QueueConfig, Swav, SwavConfig};

/// Folders of tests/reference.
pub const SWAV: &str = "swav";
pub const METHODS: &str = "methods";

pub fn path(folder: &str, name: &str) -> PathBuf {
    [
        env!("CARGO_MANIFEST_DIR"),
        "../../tests/reference",
        folder,
        name,
    ]
    .iter()
    .collect()
}

pub fn json(folder: &str, name: &str) -> Value {
    serde_json::from_slice(&std::fs::read(path(folder, name)).unwrap()).unwrap()
}

/// All numbers in nested lists, in order.
pub fn numbers(value: &Value) -> Vec<f64> {
    match value {
        Value::Array(items) => items.iter().flat_map(numbers).collect(),
        number => vec![number.as_f64().unwrap()],
    }
}

/// Nested lists of one length per level as a tensor.
pub fn tensor<const D: usize>(value: &Value, device: &Device) -> Tensor<D> {
    let mut shape = [0; D];
    let mut level = value;
    for dim in &mut shape {
        *dim = level.as_array().unwrap().len();
        level = &level[0];
    }
    let data: Vec<f32> = numbers(value).into_iter().map(|x| x as f32).collect();
    Tensor::from_data(TensorData::new(data, shape), device)
}

pub fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    tensor.into_data().convert::<f64>().try_into_vec().unwrap()
}

pub fn scalar(tensor: Tensor<1>) -> f64 {
    values(tensor)[0]
}

/// |a - b| / |b|, Euclidean; |a| where b is zero.
pub fn distance(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    let norm = |x: &mut dyn Iterator<Item = f64>| x.map(|v| v * v).sum::<f64>().sqrt();
    let difference = norm(&mut a.iter().zip(b).map(|(a, b)| a - b));
    let size = norm(&mut b.iter().copied());
    if size > 0.0 {
        difference / size
    } else {
        difference
    }
}

/// The file of tensors that belongs to the trajectories.
pub struct Tensors(Vec<u8>);

impl Tensors {
    pub fn open(folder: &str) -> Self {
        Self::read(&path(folder, "trajectory.safetensors"))
    }

    pub fn read(path: &Path) -> Self {
        Self(std::fs::read(path).unwrap())
    }

    /// Names that begin with a prefix.
    pub fn names(&self, prefix: &str) -> Vec<String> {
        let file = SafeTensors::deserialize(&self.0).unwrap();
        let names = file.names().into_iter().map(|name| name.to_string());
        names.filter(|name| name.starts_with(prefix)).collect()
    }

    pub fn get(&self, name: &str) -> (Vec<usize>, Vec<f64>) {
        let file = SafeTensors::deserialize(&self.0).unwrap();
        let view = file.tensor(name).unwrap();
        let values = match view.dtype() {
            Dtype::F32 => view
                .data()
                .chunks_exact(4)
                .map(|b| f32::from_le_bytes(b.try_into().unwrap()).into())
                .collect(),
            Dtype::U8 => view.data().iter().map(|&b| b.into()).collect(),
            other => panic!("{other:?}"),
        };
        (view.shape().to_vec(), values)
    }

    /// The views of one step, `[n, 1, h, w]` each, from the tensors of the given names,
    /// `[step, view, n, 1, h, w]`; normalized as the references of small networks do.
    pub fn views(&self, names: &[&str], step: usize, device: &Device) -> Vec<Tensor<4>> {
        self.normalized_views(names, step, &[(0.5, 0.25)], device)
    }

    /// The same with mean and standard deviation of each channel.
    pub fn normalized_views(
        &self,
        names: &[&str],
        step: usize,
        channels: &[(f32, f32)],
        device: &Device,
    ) -> Vec<Tensor<4>> {
        let mut views = Vec::new();
        for name in names {
            let (shape, pixels) = self.get(name);
            let [crops, n, c, h, w] = shape[1..] else {
                panic!("{shape:?}")
            };
            let one = n * c * h * w;
            for crop in 0..crops {
                let start = (step * crops + crop) * one;
                let data: Vec<f32> = pixels[start..start + one]
                    .chunks_exact(h * w)
                    .zip(channels.iter().cycle())
                    .flat_map(|(plane, (mean, std))| {
                        plane.iter().map(move |&x| (x as f32 / 255.0 - mean) / std)
                    })
                    .collect();
                views.push(Tensor::from_data(
                    TensorData::new(data, [n, c, h, w]),
                    device,
                ));
            }
        }
        views
    }
}

/// Names of the crops of a multi-crop trajectory.
pub const CROPS: [&str; 2] = ["full", "small"];

pub fn checkpoint() -> Checkpoint {
    Checkpoint::open(path(SWAV, "init.pth.tar")).unwrap()
}

/// The configuration of the trajectories' network. `larc` freezes the prototypes for 3 steps, `sgd`
/// has a queue.
pub fn config(run: &str) -> SwavConfig {
    let mut config = SwavConfig::from_checkpoint(&checkpoint()).unwrap();
    config.backbone.stem = Stem::Small {
        kernel: 3,
        stride: 2,
    };
    match run {
        "larc" => config.with_freeze_prototypes_steps(3),
        "sgd" => config.with_queue(Some(QueueConfig::new(32, 1))),
        other => panic!("{other}"),
    }
}

/// A new copy of the trajectories' initial network.
pub fn method(run: &str, device: &Device) -> Swav {
    Swav::from_checkpoint(&checkpoint(), &config(run), device).unwrap()
}

/// Name and values, in PyTorch's order, of all parameters and running statistics of a module, or of
/// their gradients.
pub fn named_values(
    module: &impl Module,
    gradients: Option<&GradientsParams>,
) -> Vec<(String, Vec<f64>)> {
    struct Collect<'a> {
        path: Vec<String>,
        gradients: Option<&'a GradientsParams>,
        found: Vec<(String, Vec<f64>)>,
    }
    impl ModuleVisitor for Collect<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let value = match self.gradients {
                Some(gradients) => gradients.get::<D>(param.id),
                None => Some(param.val().without_autodiff()),
            };
            let Some(value) = value else { return };
            // Burn's linear weights, the only matrices here, are the transposes of PyTorch's.
            let value = if D == 2 { value.swap_dims(0, 1) } else { value };
            self.found.push((self.path.join("."), values(value)));
        }
        fn enter_module(&mut self, name: &str, _: &str) {
            self.path.push(name.into());
        }
        fn exit_module(&mut self, _: &str, _: &str) {
            self.path.pop();
        }
    }
    let mut collect = Collect {
        path: vec![],
        gradients,
        found: vec![],
    };
    module.visit(&mut collect);
    collect.found
}
