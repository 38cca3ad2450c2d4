//! One side of benches/peers/loader.py. Reads lines and answers each with one line:
//!
//! - `open FOLDER BATCH WORKERS`: opens the images of FOLDER and answers with their number.
//! - `RECIPE KIND EPOCH`: prepares all batches of an epoch and answers with their number of images.
//!   RECIPE is vicreg, swav, simsiam or eval; KIND is f32 or u8.

use std::collections::HashMap;
use std::io::{BufRead, Write, stdin, stdout};
use std::path::Path;
use std::sync::Arc;

use burn::tensor::Device;
use e2mc_data::source::{ImageFolder, ImageSource, ScanOptions};
use e2mc_data::{Loader, Recipe};

fn main() {
    let mut opened = None;
    let mut loaders = HashMap::new();
    for line in stdin().lock().lines() {
        let line = line.expect("text on standard input");
        let words: Vec<&str> = line.split_whitespace().collect();
        let number = |word: &str| word.parse::<usize>().expect("a number");
        let answer = match words[..] {
            ["open", folder, batch_size, workers] => {
                let options = ScanOptions::new();
                let images = ImageFolder::open_flat(Path::new(folder), &options).expect("images");
                let count = images.len();
                opened = Some((Arc::new(images), number(batch_size), number(workers)));
                count
            }
            [recipe, kind, epoch] => {
                let (images, batch_size, workers) = opened.clone().expect("open comes first");
                let loader = loaders.entry((recipe.to_owned(), kind.to_owned()));
                let recipe = match recipe {
                    "vicreg" => Recipe::vicreg(),
                    "swav" => Recipe::swav(),
                    "simsiam" => Recipe::simsiam(),
                    "eval" => Recipe::eval(),
                    other => panic!("unknown recipe {other}"),
                };
                loader
                    .or_insert_with(|| {
                        Loader::new(images, recipe, batch_size, 0)
                            .expect("a valid recipe")
                            .with_workers(workers)
                            .with_drop_last(false)
                            .with_u8_batches(kind == "u8")
                    })
                    .epoch(number(epoch), &Device::flex())
                    .map(|batch| batch.expect("readable images").indices.len())
                    .sum()
            }
            _ => panic!("unknown request: {line}"),
        };
        println!("{answer}");
        stdout().flush().expect("someone reads the answers");
    }
}
