//! Writes an image of 64 augmented crops from a folder of photographs, and a file with their
//! parameters. tests/reference/contact_sheet.py makes torchvision's sheet from these parameters:
//! `cargo run --release -p e2mc-data --example contact_sheet -- FOLDER vicreg sheet`
//!
//! Writes sheet.png and sheet.json. The recipe is vicreg, swav, simsiam, linear_probe_train or
//! eval.

use std::error::Error;
use std::io::BufWriter;
use std::path::Path;

use e2mc_data::Photo;
use e2mc_data::augment::{Image, PassOrder};
use e2mc_data::source::{ImageFolder, ImageSource, ScanOptions};
use e2mc_data::{Recipe, SampledView};
use rand::SeedableRng;
use rand::rngs::ChaCha8Rng;
use serde::Serialize;

/// Rows and columns of the sheet.
const SIDE: usize = 8;
/// White pixels between the crops.
const GAP: usize = 4;

/// One crop of the sheet: its file and every random choice.
#[derive(Serialize)]
struct Crop {
    file: String,
    view: SampledView,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, recipe, output] = &arguments[..] else {
        return Err("usage: contact_sheet FOLDER RECIPE OUTPUT".into());
    };
    let mut recipe = match recipe.as_str() {
        "vicreg" => Recipe::vicreg(),
        "swav" => Recipe::swav(),
        "simsiam" => Recipe::simsiam(),
        "linear_probe_train" => Recipe::linear_probe_train(),
        "eval" => Recipe::eval(),
        other => {
            return Err(format!(
                "recipe {other}: expected vicreg, swav, simsiam, linear_probe_train or eval"
            )
            .into());
        }
    };
    // The pass order of the current Pillow, so that torchvision's sheet has the same pixels.
    recipe.pass_order = PassOrder::Shorter;
    let source = ImageFolder::open_flat(Path::new(folder), &ScanOptions::new())?;

    let cell = recipe.view_sizes().into_iter().max().unwrap_or(0);
    let side = SIDE * cell + (SIDE + 1) * GAP;
    let mut sheet = vec![255; side * side * 3];
    let mut crops = Vec::new();
    let mut photo = Photo::default();
    let rng = &mut ChaCha8Rng::seed_from_u64(0);
    for index in 0.. {
        if crops.len() == SIDE * SIDE {
            break;
        }
        // Skips ahead, since neighbors in a folder are often alike.
        let index = index * 7 % source.len();
        source.read(index, &mut photo)?;
        let [height, width, _] = photo.shape();
        for view in recipe.sample(height, width, rng) {
            if crops.len() < SIDE * SIDE {
                let [row, column] = [crops.len() / SIDE, crops.len() % SIDE];
                let corner = [row, column].map(|i| GAP + i * (cell + GAP));
                paste(&view.apply(&photo), &mut sheet, side, corner);
                crops.push(Crop {
                    file: source.image_name(index),
                    view,
                });
            }
        }
    }

    let path = format!("{output}.png");
    let mut encoder = png::Encoder::new(
        BufWriter::new(std::fs::File::create(&path)?),
        u32::try_from(side)?,
        u32::try_from(side)?,
    );
    encoder.set_color(png::ColorType::Rgb);
    encoder.write_header()?.write_image_data(&sheet)?;
    std::fs::write(format!("{output}.json"), serde_json::to_string(&crops)?)?;
    println!("wrote {path} and {output}.json");
    Ok(())
}

/// Copies a planar crop to the interleaved sheet.
fn paste(crop: &Image, sheet: &mut [u8], side: usize, [top, left]: [usize; 2]) {
    let [channels, height, width] = crop.shape();
    for y in 0..height {
        for x in 0..width {
            for channel in 0..3 {
                let value = crop.pixels()[(channel % channels * height + y) * width + x];
                sheet[((top + y) * side + left + x) * 3 + channel] = value;
            }
        }
    }
}
