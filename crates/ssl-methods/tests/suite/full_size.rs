//! The same at the paper's full size, against a reference that PyTorch writes first:
//!
//! ```sh
//! python tests/reference/full_size.py --method vicreg --criterion e2mc --steps 10 \
//!   --out /tmp/full_size
//! E2MC_FULL_SIZE=/tmp/full_size cargo test -p ssl-methods --release --test suite full_size -- \
//!   --ignored --nocapture
//! ```

use std::path::PathBuf;

use burn::module::Module;
use burn::prelude::*;
use e2mc_resnet::{Checkpoint, ResNetConfig};
use serde_json::Value;
use ssl_methods::barlow_twins::{BarlowTwins, BarlowTwinsConfig};
use ssl_methods::simsiam::{SimSiam, SimSiamConfig};
use ssl_methods::swav::{Swav, SwavConfig};
use ssl_methods::vicreg::{VicReg, VicRegConfig};

use crate::golden::{Tensors, distance, named_values, numbers};
use crate::methods::{MARGIN, Run, load_method};

/// The finalizer of SplitMix64, as in the reference.
fn mix(x: u64) -> u64 {
    let x = x.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

/// Inner products with 16 sign vectors: +1 where bit r of `mix(2^60 + index)` is set.
fn sketch(gradient: &[f64]) -> Vec<f64> {
    let mut products = vec![0.0; 16];
    for (index, g) in (0u64..).zip(gradient) {
        let signs = mix((1 << 60) + index);
        for (r, product) in products.iter_mut().enumerate() {
            *product += if signs >> r & 1 == 1 { *g } else { -*g };
        }
    }
    products
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// For each term its largest distance over the steps.
fn term_spreads(steps: &Value) -> Vec<f64> {
    let leaves: Vec<Vec<f64>> = steps.as_array().unwrap().iter().map(leaves).collect();
    (0..leaves[0].len())
        .map(|term| leaves.iter().map(|step| step[term]).fold(0.0, f64::max))
        .collect()
}

/// All numbers in nested objects, in the order of their names.
fn leaves(value: &Value) -> Vec<f64> {
    match value {
        Value::Object(fields) => fields.values().flat_map(leaves).collect(),
        number => number.as_f64().into_iter().collect(),
    }
}

/// Relative distances of tensors by name, and those of PyTorch's own runs. Fails beyond the margin.
struct Distances {
    what: &'static str,
    found: Vec<(f64, f64, String)>,
}

impl Distances {
    /// The margin, and a floor for tensors on which two f32 runs of PyTorch happen to agree.
    fn finish(mut self) {
        let typical = median(self.found.iter().map(|(_, spread, _)| *spread).collect());
        self.found.sort_by(|a, b| b.0.total_cmp(&a.0));
        let (error, spread, name) = &self.found[0];
        println!(
            "{}: {} tensors, largest distance {error:.1e} ({name}; PyTorch's own there \
             {spread:.1e}), median {:.1e} (PyTorch's own {typical:.1e})",
            self.what,
            self.found.len(),
            self.found[self.found.len() / 2].0,
        );
        for (error, spread, name) in self.found {
            assert!(
                error < MARGIN * spread.max(typical),
                "{}: {name} is off by {error:e}, PyTorch's own runs by {spread:e}, typically \
                 {typical:e}",
                self.what
            );
        }
    }
}

#[test]
#[ignore = "needs the folder that tests/reference/full_size.py writes, in E2MC_FULL_SIZE"]
fn full_size_equals_pytorch() {
    let folder = PathBuf::from(std::env::var("E2MC_FULL_SIZE").expect("E2MC_FULL_SIZE is set"));
    let golden: Value =
        serde_json::from_slice(&std::fs::read(folder.join("report.json")).unwrap()).unwrap();
    let init = ["init.pth", "init.pth.tar"]
        .map(|name| folder.join(name))
        .into_iter()
        .find(|path| path.exists());
    let checkpoint = Checkpoint::open(init.expect("the folder has an init file")).unwrap();
    let device = Device::default().autodiff();
    let run = Run {
        name: golden["method"].as_str().unwrap(),
        golden: &golden,
        // A term near 0, such as the cosine of an untrained predictor, has no digits in f32.
        first_step: f64::INFINITY,
        // A pair of f32 runs gives one draw for each term, which may be small by chance. So it is
        // at least the typical term's distance.
        least_spread: median(term_spreads(&golden["step_distances"])),
    };
    let same = |backbone: ResNetConfig| backbone;
    load_method!(golden, checkpoint, same, device, |method| {
        assert_eq!(method.config().backbone, ResNetConfig::resnet50());
        let views = Tensors::read(&folder.join("views.safetensors"));
        let names: &[&str] = match run.name {
            "swav" => &crate::golden::CROPS,
            _ => &["views"],
        };
        let channels: Vec<(f32, f32)> = numbers(&golden["mean"])
            .into_iter()
            .zip(numbers(&golden["std"]))
            .map(|(mean, std)| (mean as f32, std as f32))
            .collect();
        let method = run.train(
            method,
            run.optimizer(),
            |step| views.normalized_views(names, step, &channels, &device),
            |gradients| check_gradients(&run, gradients),
        );
        check_final(
            &run,
            named_values(&method.valid(), None),
            &Tensors::read(&folder.join("final.safetensors")),
        );
    });
}

fn check_gradients(run: &Run, found: Vec<(String, Vec<f64>)>) {
    let golden = &run.golden["gradients"];
    assert_eq!(found.len(), golden.as_object().unwrap().len());
    let inert = run.list("inert");
    let mut distances = Distances {
        what: "gradients of the first step",
        found: Vec::new(),
    };
    for (name, gradient) in found {
        if inert.contains(&name.as_str()) {
            continue;
        }
        let norm = golden[&name]["norm"].as_f64().unwrap();
        let expected = numbers(&golden[&name]["sketch"]);
        let difference: f64 = sketch(&gradient)
            .iter()
            .zip(&expected)
            .map(|(a, b)| (a - b).powi(2))
            .sum();
        // The root mean square difference of sketches estimates the norm of the difference.
        let error = (difference / expected.len() as f64).sqrt() / norm;
        let spread = run.golden["gradient_distances"][&name].as_f64().unwrap();
        distances.found.push((error, spread, name));
    }
    distances.finish();
}

fn check_final(run: &Run, found: Vec<(String, Vec<f64>)>, expected: &Tensors) {
    assert_eq!(found.len(), expected.names("").len());
    let inert = run.list("inert_at_the_end");
    let mut distances = Distances {
        what: "weights and running statistics at the end",
        found: Vec::new(),
    };
    for (name, values) in found {
        if inert.contains(&name.as_str()) {
            continue;
        }
        let error = distance(&values, &expected.get(&name).1);
        let spread = run.golden["final_distances"][&name].as_f64().unwrap();
        distances.found.push((error, spread, name));
    }
    distances.finish();
}
