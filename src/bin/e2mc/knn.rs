use clap::Args;
use e2mc::plan::Labels;
use e2mc::{KnnPlan, Result, evaluate_knn, knn_table};

use crate::image_options::ImageOptions;
use crate::source_options::SourceOptions;
use crate::tables;

#[derive(Args)]
pub(crate) struct Arguments {
    /// Numbers of neighbors that vote
    #[arg(
        long,
        value_delimiter = ',',
        value_name = "LIST",
        default_value = "20,200"
    )]
    k: Vec<usize>,
    /// A neighbor of cosine similarity s has exp(s / TEMPERATURE) votes
    #[arg(
        long,
        allow_negative_numbers = true,
        value_name = "TEMPERATURE",
        default_value_t = 0.07
    )]
    temperature: f64,
    /// Training images that vote: amounts such as 1%,5/class,100%, or list:FILE for the images
    /// named in a text file, one per line
    #[arg(
        long,
        value_delimiter = ',',
        value_name = "LIST",
        default_value = "100%"
    )]
    labels: Vec<Labels>,
    /// Draws of the labeled images per amount below 100%
    #[arg(long, value_name = "N", default_value_t = 3)]
    label_draws: usize,
    /// Seed of the label draws
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    #[command(flatten)]
    source: SourceOptions,
    #[command(flatten)]
    images: ImageOptions,
}

pub(crate) fn run(arguments: Arguments) -> Result<()> {
    let Arguments {
        source,
        k,
        temperature,
        labels,
        label_draws,
        seed,
        images,
    } = arguments;
    let backbone = source.source();
    let plan = KnnPlan {
        images: images.plan(&backbone)?,
        backbone,
        ks: k,
        temperature,
        labels,
        draws: label_draws,
        seed,
    };
    let found =
        images.watched(|observer| evaluate_knn(&plan, images.output.as_deref(), observer))?;
    match images.json {
        true => tables::print(&tables::json(&found)),
        false => tables::print(&tables::draw(&knn_table(&found))),
    }
    Ok(())
}
