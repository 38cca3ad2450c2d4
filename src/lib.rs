#![doc = include_str!("../README.md")]

mod batch_size;
mod device;
mod diagnosis;
mod embeddings;
mod error;
mod evaluation;
mod files;
mod finetuning;
mod host_memory;
pub mod plan;
mod probing;
#[cfg(feature = "remote")]
mod remote;
mod report;
mod reproduction;
mod run;
mod seeded;
mod study;
mod training;

pub use batch_size::batch_size_for_memory;
pub use device::{compiled_devices, parse_device, parse_devices};
pub use diagnosis::{Diagnosis, diagnose};
pub use embeddings::{EmbeddingComparison, EmbeddingMeasures, EmbeddingSummary, Quantity};
pub use error::{Error, Result};
pub use evaluation::{
    Evaluation, EvaluationPlan, FeatureSource, ImagePlan, KnnEvaluation, KnnPlan, KnnRow, Probes,
    SvmEvaluation, SvmPlan, evaluate, evaluate_knn, evaluate_svm, write_comparison,
    write_evaluation_report,
};
pub use finetuning::{
    FinetuneCurves, FinetuneDecay, FinetunePlan, FinetuneResults, FinetuneRow, FinetuneSettings,
    FinetuneTask, run_finetuning,
};
pub use host_memory::HostMemory;
pub use plan::{Plan, Preset, small_evaluation};
pub use probing::{
    AmountVerdict, Comparison, DrawComparison, LabelProbes, Outcome, PredictedProbe, Predictions,
    Verdict, compare_predictions,
};
#[cfg(feature = "remote")]
pub use remote::{Listen, TOKEN_VARIABLE, serve};
pub use report::{
    Section, Table, VERDICT_NOTE, accuracy_table, comparison_table, diagnosis_table,
    embedding_table, finetune_table, knn_table, significance_table, svm_table, verdict_sentences,
};
pub use reproduction::{BaseName, Direction, Part, ReproductionPlan, reproduce};
pub use run::{Event, Observer, SavePlan, Silent, TrainingState, free_run_folder};
pub use seeded::seeded;
pub use study::{
    BackboneResults, RunOptions, StartMethod, Study, StudyResults, load_backbone, open_checkpoint,
    preset_for, run, write_report,
};
pub use training::{
    Flow, MicroBatchFrom, MicroBatches, Position, StepMetrics, Training, TrainingConfig, Watcher,
};

pub use e2mc_data as data;
pub use e2mc_eval as eval;
pub use e2mc_loss as loss;
pub use e2mc_resnet as resnet;
pub use ssl_methods as methods;
