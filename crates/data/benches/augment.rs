//! Microseconds of each operation on photographs of ~500 x 375 pixels:
//! `cargo bench -p e2mc-data --bench augment`.

use std::time::Instant;

use e2mc_data::Photo;
use e2mc_data::augment::{CropBox, Image, Interpolation, PassOrder, Resize};
use e2mc_data::{Normalization, Recipe};
use rand::SeedableRng;
use rand::rngs::ChaCha8Rng;

/// Runs of each operation. The median is printed.
const RUNS: usize = 201;

fn main() {
    let photo = photo(375, 500);
    let region = CropBox {
        top: 40,
        left: 60,
        height: 275,
        width: 366,
    };
    let crop = |interpolation, pass_order| {
        let resize = Resize::whole(region, [224, 224], interpolation, pass_order);
        let photo = &photo;
        move |_: &mut Image| drop(resize.apply(photo))
    };
    let normalization = Normalization::imagenet();
    time(
        "resized crop, bilinear",
        crop(Interpolation::Bilinear, PassOrder::HorizontalFirst),
    );
    time(
        "resized crop, bicubic",
        crop(Interpolation::Bicubic, PassOrder::HorizontalFirst),
    );
    time("brightness", |image| image.adjust_brightness(1.2));
    time("contrast", |image| image.adjust_contrast(1.2));
    time("saturation", |image| image.adjust_saturation(1.2));
    time("hue", |image| image.adjust_hue(0.07));
    time("grayscale", Image::grayscale);
    time("blur", |image| image.gaussian_blur(1.1));
    time("solarize", |image| image.solarize(128));
    time("normalize", |image| drop(normalization.apply(image)));
    for (name, recipe) in [
        ("VICReg, both views", Recipe::vicreg()),
        ("SwAV, 2 + 6 crops", Recipe::swav()),
        ("SimSiam, both views", Recipe::simsiam()),
        ("evaluation", Recipe::eval()),
    ] {
        let rng = &mut ChaCha8Rng::seed_from_u64(0);
        time(name, |_| {
            for view in recipe.sample(375, 500, rng) {
                drop(recipe.normalization.apply(&view.apply(&photo)));
            }
        });
    }
}

fn time(name: &str, mut operation: impl FnMut(&mut Image)) {
    let side = 224;
    let original = photo(side, side);
    let planes = (0..3).flat_map(|channel| original.pixels().iter().skip(channel).step_by(3));
    let original = Image::new(planes.copied().collect(), [3, side, side]);
    let mut image = original.clone();
    let mut times: Vec<f64> = (0..RUNS)
        .map(|_| {
            image.clone_from(&original);
            let start = Instant::now();
            operation(&mut image);
            start.elapsed().as_secs_f64() * 1e6
        })
        .collect();
    times.sort_by(f64::total_cmp);
    println!("{name}: {:.1} us", times[RUNS / 2]);
}

/// Smooth colors with some grain.
fn photo(height: usize, width: usize) -> Photo {
    let pixels = (0..height * width * 3).map(|i| {
        let (y, x, channel) = (i / 3 / width, i / 3 % width, i % 3);
        let grain = (i as u32).wrapping_mul(2_654_435_761) >> 28;
        ((y * (channel + 1) / 3 + x * (3 - channel) / 4) % 240) as u8 + grain as u8
    });
    Photo::new(pixels.collect(), [height, width, 3])
}
