//! The passes against a scalar reference, over random pictures and sizes.

use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};

use super::filter::{Filter, HALF, to_pixel};
use super::*;
use crate::augment::tests::{each_arch, noise};

/// A gray plane, row by row.
type Plane = Vec<Vec<u8>>;

/// Resizes each row, one pixel after the other.
fn resize_rows(plane: &Plane, to: usize, interpolation: Interpolation) -> Plane {
    let from = plane[0].len();
    if to == from {
        return plane.clone();
    }
    let mut filter = Filter::default();
    filter.set(from, to, 0..to, interpolation);
    let pixel = |row: &[u8], (start, weights): (usize, &[i32])| {
        let products = weights.iter().zip(&row[start..]);
        to_pixel(HALF + products.map(|(w, p)| w * i32::from(*p)).sum::<i32>())
    };
    let resized = |row: &Vec<u8>| filter.taps().map(|tap| pixel(row, tap)).collect();
    plane.iter().map(resized).collect()
}

fn transposed(plane: &Plane) -> Plane {
    let column = |x| plane.iter().map(|row| row[x]).collect();
    (0..plane[0].len()).map(column).collect()
}

fn resize_columns(plane: &Plane, to: usize, interpolation: Interpolation) -> Plane {
    transposed(&resize_rows(&transposed(plane), to, interpolation))
}

fn cut(plane: &Plane, part: CropBox) -> Plane {
    let columns = part.left..part.left + part.width;
    let rows = &plane[part.top..part.top + part.height];
    rows.iter()
        .map(|row| row[columns.clone()].to_vec())
        .collect()
}

fn reference(photo: &Photo, resize: &Resize, flip: bool) -> Vec<u8> {
    let [_, width, channels] = photo.shape();
    let [to_height, to_width] = resize.target;
    let mut pixels = Vec::new();
    for channel in 0..channels {
        let rows = photo.pixels().chunks(width * channels);
        let row = |row: &[u8]| {
            row.iter()
                .skip(channel)
                .step_by(channels)
                .copied()
                .collect()
        };
        let plane = cut(&rows.map(row).collect(), resize.region);
        let plane = if resize.vertical_first() {
            let plane = resize_columns(&plane, to_height, resize.interpolation);
            resize_rows(&plane, to_width, resize.interpolation)
        } else {
            let plane = resize_rows(&plane, to_width, resize.interpolation);
            resize_columns(&plane, to_height, resize.interpolation)
        };
        for mut row in cut(&plane, resize.window) {
            if flip {
                row.reverse();
            }
            pixels.extend(row);
        }
    }
    pixels
}

fn random_box(height: usize, width: usize, rng: &mut ChaCha8Rng) -> CropBox {
    let (box_height, box_width) = (rng.random_range(1..=height), rng.random_range(1..=width));
    CropBox {
        top: rng.random_range(0..=height - box_height),
        left: rng.random_range(0..=width - box_width),
        height: box_height,
        width: box_width,
    }
}

#[test]
fn every_instruction_set_resizes_alike() {
    let rng = &mut ChaCha8Rng::seed_from_u64(0);
    let mut scratch = ResizeScratch::default();
    let mut found = Image::default();
    let mut vertical_first = 0;
    for case in 0..400 {
        let largest = if case % 10 == 0 { 300 } else { 70 };
        let [height, width] = [0; 2].map(|_| rng.random_range(1..largest));
        let channels = [1, 3][case % 2];
        let photo = Photo::new(
            noise(case as u64, height * width * channels),
            [height, width, channels],
        );
        let region = random_box(height, width, rng);
        let mut target = [0; 2].map(|_| rng.random_range(1..largest));
        // Sides that do not change take separate paths.
        if case % 7 == 0 {
            target[0] = region.height;
        }
        if case % 5 == 0 {
            target[1] = region.width;
        }
        let resize = Resize {
            region,
            target,
            window: random_box(target[0], target[1], rng),
            interpolation: [Interpolation::Bilinear, Interpolation::Bicubic][case / 2 % 2],
            pass_order: [PassOrder::Shorter, PassOrder::HorizontalFirst][case / 4 % 2],
        };
        vertical_first += usize::from(resize.vertical_first());
        let flip = case % 3 == 0;
        let expected = reference(&photo, &resize, flip);
        each_arch(|arch| {
            resize.apply_into(arch, &photo, flip, &mut scratch, &mut found);
            assert!(
                found.pixels() == expected,
                "case {case}: {resize:?} of {height} x {width}"
            );
        });
    }
    assert!(vertical_first > 20, "{vertical_first}");
}
