//! Copying a checkpoint's tensors into a module.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};

use burn::module::Module;
use burn::store::bridge;
use burn::tensor::TensorData;

use super::error::{CheckpointError, Result, ShapeMismatch};
use super::file::Checkpoint;
use super::targets::{Filler, ModulePath, Target, TargetCollector};
use super::transpose::transpose;

/// Threads that read. More are not faster: copying from the page cache is bound by memory.
const MAX_THREADS: usize = 4;
/// Name of the step counter in PyTorch's batch normalization.
const COUNTER: &str = "num_batches_tracked";
/// First parts of the names of classifiers and heads under a backbone's prefix.
const HEADS: [&str; 7] = [
    "fc",
    "classifier",
    "head",
    "projection_head",
    "projector",
    "prototypes",
    "predictor",
];

/// The result of a load.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadReport {
    /// Names of the tensors copied into the module, without wrappers.
    pub loaded: Vec<String>,
    /// Tensors under the same prefix that the module does not have.
    pub ignored: Vec<Ignored>,
    /// Names of the module's tensors that the file lacks. Only after a [partial
    /// load](Checkpoint::load_partial_into).
    pub missing: Vec<String>,
    /// Tensors that have another shape in the file. Only after a partial load.
    pub misshapen: Vec<ShapeMismatch>,
}

/// A tensor of the file that was not loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ignored {
    /// Name without wrappers.
    pub name: String,
    /// Why.
    pub reason: IgnoreReason,
}

/// Why a tensor was not loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum IgnoreReason {
    /// `num_batches_tracked`, which batch normalization with a fixed momentum does not use.
    Counter,
    /// A classifier or a method's head, which the module does not have.
    Head,
    /// Any other tensor that the module does not have.
    NoPlace,
}

impl fmt::Display for IgnoreReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            IgnoreReason::Counter => "counter without effect",
            IgnoreReason::Head => "classifier or head, not part of the module",
            IgnoreReason::NoPlace => "not part of the module",
        })
    }
}

impl IgnoreReason {
    /// The reason for a name relative to the prefix.
    fn of(name: &str) -> Self {
        let first = name.split('.').next().unwrap_or_default();
        if name.ends_with(COUNTER) {
            IgnoreReason::Counter
        } else if HEADS.contains(&first) {
            IgnoreReason::Head
        } else {
            IgnoreReason::NoPlace
        }
    }
}

impl fmt::Display for LoadReport {
    /// For instance `265 tensors loaded, 55 ignored (fc.bias, fc.weight: classifier or head, not
    /// part of the module; 53 num_batches_tracked)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} tensors loaded", self.loaded.len())?;
        if !self.ignored.is_empty() {
            let mut parts = Vec::new();
            for reason in [
                IgnoreReason::Head,
                IgnoreReason::NoPlace,
                IgnoreReason::Counter,
            ] {
                let names: Vec<&str> = self
                    .ignored
                    .iter()
                    .filter(|ignored| ignored.reason == reason)
                    .map(|ignored| ignored.name.as_str())
                    .collect();
                match (names.len(), reason) {
                    (0, _) => {}
                    (n, IgnoreReason::Counter) => parts.push(format!("{n} {COUNTER}")),
                    (_, reason) => parts.push(format!("{}: {reason}", some_of(&names))),
                }
            }
            write!(f, ", {} ignored ({})", self.ignored.len(), parts.join("; "))?;
        }
        if !self.missing.is_empty() {
            write!(
                f,
                ", {} missing ({})",
                self.missing.len(),
                some_of(&self.missing)
            )?;
        }
        if !self.misshapen.is_empty() {
            write!(
                f,
                ", {} misshapen ({})",
                self.misshapen.len(),
                some_of(&self.misshapen)
            )?;
        }
        Ok(())
    }
}

fn some_of<T: ToString>(items: &[T]) -> String {
    const MAX_LISTED: usize = 8;
    let mut parts: Vec<String> = items.iter().take(MAX_LISTED).map(T::to_string).collect();
    if items.len() > MAX_LISTED {
        parts.push(format!("{} more", items.len() - MAX_LISTED));
    }
    parts.join(", ")
}

impl Checkpoint {
    /// Copies the tensors under `prefix` into `module`, whose parameter paths must be PyTorch's
    /// names.
    ///
    /// `prefix` is `""` for the root, [`backbone_prefix`](Self::backbone_prefix) for the ResNet, or
    /// a head's name such as `"projection_head"`. The weight of a `burn::nn::Linear` is transposed,
    /// the scale and shift of Burn's own normalization layers are found as `weight` and `bias`, and
    /// every float is converted to the module's type. Running statistics are loaded too. All of the
    /// module's parameters must be in the file. On an error the module is unchanged. Load into a
    /// new module from [`init`](crate::ResNetConfig::init), whose random parameters are then never
    /// drawn. Pending running statistics of a training step would override the loaded ones.
    ///
    /// # Errors
    ///
    /// If tensors are missing, misshapen or not floating-point, or the file ends before their
    /// values do.
    pub fn load_into<M: Module>(&self, module: &mut M, prefix: &str) -> Result<LoadReport> {
        let (targets, report) = self.match_targets(module, prefix)?;
        if !report.missing.is_empty() {
            return Err(CheckpointError::MissingTensors {
                path: self.path().to_path_buf(),
                layout: self.layout().to_string(),
                names: report.missing,
                available: self.tensors.len(),
            });
        }
        if !report.misshapen.is_empty() {
            return Err(CheckpointError::MisshapenTensors {
                path: self.path().to_path_buf(),
                tensors: report.misshapen,
            });
        }
        self.check_used(&report)?;
        self.fill(module, targets)?;
        Ok(report)
    }

    /// As [`load_into`](Self::load_into), but loads only the tensors that exist in the right shape,
    /// and reports the others as missing or misshapen.
    ///
    /// # Errors
    ///
    /// If a tensor that the module needs is not floating-point, or the file ends before its values
    /// do.
    pub fn load_partial_into<M: Module>(&self, module: &mut M, prefix: &str) -> Result<LoadReport> {
        let (targets, report) = self.match_targets(module, prefix)?;
        self.fill(module, targets)?;
        Ok(report)
    }

    /// Rejects tensors within the backbone's blocks that were not loaded, if the backbone was.
    fn check_used(&self, report: &LoadReport) -> Result<()> {
        let stem = match self.backbone_prefix() {
            Ok("") => "conv1.weight".to_string(),
            Ok(prefix) => format!("{prefix}.conv1.weight"),
            Err(_) => return Ok(()),
        };
        if self.allows_unused() || self.unused.is_empty() || !report.loaded.contains(&stem) {
            return Ok(());
        }
        Err(CheckpointError::Unused {
            path: self.path().to_path_buf(),
            names: self.unused.clone(),
        })
    }

    /// Compares the module with the file without reading values. Returns what can be loaded, by
    /// name in the file.
    fn match_targets<M: Module>(
        &self,
        module: &M,
        prefix: &str,
    ) -> Result<(BTreeMap<String, Target>, LoadReport)> {
        let prefix = match prefix.trim_end_matches('.') {
            "" => String::new(),
            prefix => format!("{prefix}."),
        };
        let mut collector = TargetCollector::default();
        module.visit(&mut collector);
        let mut report = LoadReport {
            loaded: Vec::new(),
            ignored: Vec::new(),
            missing: Vec::new(),
            misshapen: Vec::new(),
        };
        let mut targets = BTreeMap::new();
        let mut wanted = HashSet::new();
        for (name, target) in collector.targets {
            let name = format!("{prefix}{name}");
            wanted.insert(name.clone());
            let Some(found) = self.tensors.get(&name) else {
                if let Some(kind) = self.unsupported.get(&name) {
                    return Err(CheckpointError::UnsupportedTensor {
                        path: self.path().to_path_buf(),
                        kind: kind.clone(),
                        name,
                    });
                }
                report.missing.push(name);
                continue;
            };
            if !found.dtype.is_float() {
                return Err(CheckpointError::NotFloat {
                    path: self.path().to_path_buf(),
                    name,
                    found: format!("{:?}", found.dtype).to_lowercase(),
                });
            }
            if found.shape.to_vec() != target.shape {
                report.misshapen.push(ShapeMismatch {
                    name,
                    expected: target.shape,
                    found: found.shape.to_vec(),
                });
                continue;
            }
            targets.insert(name, target);
        }
        report.loaded = targets.keys().cloned().collect();
        report.ignored = self
            .tensors
            .keys()
            .filter(|name| name.starts_with(&prefix) && !wanted.contains(*name))
            .map(|name| Ignored {
                name: name.clone(),
                reason: IgnoreReason::of(&name[prefix.len()..]),
            })
            .collect();
        Ok((targets, report))
    }

    /// Reads the values of `targets` and puts them into the module.
    fn fill<M: Module>(&self, module: &mut M, targets: BTreeMap<String, Target>) -> Result<()> {
        // All values are read before the first is applied, so that a truncated file does not change
        // the module.
        let values = self.read_targets(targets)?;
        let mut filler = Filler {
            path: ModulePath::default(),
            values,
        };
        *module = module.clone().map(&mut filler);
        Ok(())
    }

    /// Reads the values of all targets, by path in the module, the largest first, in a few threads.
    fn read_targets(
        &self,
        targets: BTreeMap<String, Target>,
    ) -> Result<HashMap<String, TensorData>> {
        let mut targets: Vec<(String, Target)> = targets.into_iter().collect();
        targets.sort_by_key(|(_, target)| {
            std::cmp::Reverse(
                target
                    .shape
                    .iter()
                    .fold(1usize, |n, &d| n.saturating_mul(d)),
            )
        });
        let threads = std::thread::available_parallelism()
            .map_or(1, |n| n.get())
            .min(MAX_THREADS);
        let next = AtomicUsize::new(0);
        let read_some = || {
            let mut values = Vec::new();
            while let Some((name, target)) = targets.get(next.fetch_add(1, Ordering::Relaxed)) {
                let mut data = self.read(name)?;
                if data.dtype() != target.dtype {
                    data = data.convert_dtype(target.dtype);
                }
                if target.transposed {
                    data = transpose(data);
                }
                values.push((target.path.clone(), data));
            }
            Ok(values)
        };
        let parts: Vec<Result<Vec<_>>> = std::thread::scope(|scope| {
            let workers: Vec<_> = (0..threads).map(|_| scope.spawn(read_some)).collect();
            workers
                .into_iter()
                .map(|worker| {
                    worker
                        .join()
                        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
                })
                .collect()
        });
        let mut values = HashMap::with_capacity(targets.len());
        for part in parts {
            values.extend(part?);
        }
        Ok(values)
    }

    /// Reads the values of one tensor, by its name without wrappers.
    ///
    /// # Errors
    ///
    /// [`CheckpointError::MissingTensors`] if there is none of this name,
    /// [`CheckpointError::Damaged`] if the file does not hold its values.
    pub fn read(&self, name: &str) -> Result<TensorData> {
        let stored = self
            .tensors
            .get(name)
            .ok_or_else(|| CheckpointError::MissingTensors {
                path: self.path().to_path_buf(),
                layout: self.layout().to_string(),
                names: vec![name.to_string()],
                available: self.tensors.len(),
            })?;
        bridge::into_data(stored.clone())
            .map_err(|e| CheckpointError::damaged(self.path(), format!("tensor {name}: {e}")))
    }
}
