//! Every operation against Pillow and torchvision, with zero difference. tests/reference/augment.py
//! wrote the files.

use std::path::PathBuf;
use std::sync::LazyLock;

use burn::tensor::Device;
use e2mc_data::Photo;
use e2mc_data::augment::{
    CenterCrop, ColorJitter, ColorOperation, CropBox, Image, Interpolation, PassOrder, Resize,
};
use e2mc_data::{Crop, ImageSet, Normalization, fashion_mnist};
use rand::SeedableRng;
use rand::rngs::ChaCha8Rng;
use serde::Deserialize;
use sha2::{Digest, Sha256};

static TEST_IMAGES: LazyLock<ImageSet> = LazyLock::new(fashion_mnist::embedded_test);

#[derive(Deserialize)]
struct Case {
    /// One or three mosaics of test images, one per channel.
    planes: Vec<Vec<Vec<usize>>>,
    operation: Operation,
    shape: [usize; 3],
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Operation {
    ResizedCrop {
        #[serde(rename = "box")]
        region: [usize; 4],
        size: [usize; 2],
        interpolation: Interpolation,
        pass_order: PassOrder,
    },
    FlipHorizontal,
    Brightness(f32),
    Contrast(f32),
    Saturation(f32),
    Hue(f32),
    Grayscale,
    Jitter(Vec<(String, f32)>),
    Blur(f32),
    Solarize(u8),
    CenterCrop(CenterCrop),
    Swav {
        #[serde(rename = "box")]
        region: [usize; 4],
        size: usize,
        contrast: f32,
        brightness: f32,
        sigma: f32,
    },
}

impl Operation {
    fn apply(&self, mut image: Image) -> Image {
        match *self {
            Self::ResizedCrop {
                region,
                size,
                interpolation,
                pass_order,
            } => {
                let resize = Resize::whole(crop_box(region), size, interpolation, pass_order);
                return resize.apply(&photo(&image));
            }
            Self::FlipHorizontal => image.flip_horizontal(),
            Self::Brightness(factor) => image.adjust_brightness(factor),
            Self::Contrast(factor) => image.adjust_contrast(factor),
            Self::Saturation(factor) => image.adjust_saturation(factor),
            Self::Hue(shift) => image.adjust_hue(shift),
            Self::Grayscale => image.grayscale(),
            Self::Jitter(ref operations) => jitter(operations).apply(&mut image),
            Self::Blur(sigma) => image.gaussian_blur(sigma),
            Self::Solarize(threshold) => image.solarize(threshold),
            Self::CenterCrop(crop) => {
                let [_, height, width] = image.shape();
                let rng = &mut ChaCha8Rng::seed_from_u64(0); // nothing is random
                let crop = Crop::Center(crop).sample(height, width, PassOrder::Shorter, rng);
                return crop.apply(&photo(&image));
            }
            Self::Swav {
                region,
                size,
                contrast,
                brightness,
                sigma,
            } => {
                let mut crop = Resize::whole(
                    crop_box(region),
                    [size, size],
                    Interpolation::Bilinear,
                    PassOrder::Shorter,
                )
                .apply(&photo(&image));
                crop.flip_horizontal();
                crop.adjust_contrast(contrast);
                crop.adjust_brightness(brightness);
                crop.gaussian_blur(sigma);
                return crop;
            }
        }
        image
    }
}

fn crop_box([top, left, height, width]: [usize; 4]) -> CropBox {
    CropBox {
        top,
        left,
        height,
        width,
    }
}

fn jitter(operations: &[(String, f32)]) -> ColorJitter {
    let operations = operations
        .iter()
        .map(|(name, value)| match name.as_str() {
            "brightness" => ColorOperation::Brightness(*value),
            "contrast" => ColorOperation::Contrast(*value),
            "saturation" => ColorOperation::Saturation(*value),
            "hue" => ColorOperation::Hue(*value),
            other => panic!("{other}"),
        })
        .collect();
    ColorJitter { operations }
}

/// The same image as a source returns it, channels interleaved.
fn photo(image: &Image) -> Photo {
    let [channels, height, width] = image.shape();
    let plane = height * width;
    let pixels = (0..channels * plane)
        .map(|i| image.pixels()[i % channels * plane + i / channels])
        .collect();
    Photo::new(pixels, [height, width, channels])
}

/// The input picture of a case.
fn picture(planes: &[Vec<Vec<usize>>]) -> Image {
    let side = 28;
    let (rows, columns) = (planes[0].len(), planes[0][0].len());
    let mut pixels = Vec::new();
    for grid in planes {
        for row in grid {
            for y in 0..side {
                for &index in row {
                    pixels.extend_from_slice(&TEST_IMAGES.image(index)[y * side..(y + 1) * side]);
                }
            }
        }
    }
    Image::new(pixels, [planes.len(), rows * side, columns * side])
}

fn golden(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/reference/augment")
        .join(name)
}

fn read_json<T: serde::de::DeserializeOwned>(name: &str) -> T {
    serde_json::from_slice(&std::fs::read(golden(name)).unwrap()).unwrap()
}

#[test]
fn operations_equal_pillow() {
    let cases: Vec<Case> = read_json("cases.json");
    let outputs = std::fs::read(golden("outputs.u8")).unwrap();
    let mut outputs = outputs.as_slice();
    let mut different = Vec::new();
    for (number, case) in cases.iter().enumerate() {
        let result = case.operation.apply(picture(&case.planes));
        assert_eq!(
            result.shape(),
            case.shape,
            "case {number}: {:?}",
            case.operation
        );
        let (expected, rest) = outputs.split_at(result.pixels().len());
        outputs = rest;
        let greatest = (result.pixels().iter().zip(expected))
            .map(|(a, b)| a.abs_diff(*b))
            .max();
        if greatest != Some(0) {
            different.push(format!("case {number}, {greatest:?}: {:?}", case.operation));
        }
    }
    assert!(outputs.is_empty());
    assert!(cases.len() > 400);
    assert!(
        different.is_empty(),
        "{} of {} differ:\n{}",
        different.len(),
        cases.len(),
        different.join("\n")
    );
}

#[derive(Deserialize)]
struct Tables {
    normalized: Vec<NormalizedTable>,
    grayscale: String,
    brightness: Vec<CubeDigest>,
    cube_contrast: Vec<CubeDigest>,
    saturation: Vec<CubeDigest>,
    hue: Vec<CubeDigest>,
    solarize: Vec<CubeDigest>,
    contrast: String,
    blur: String,
}

#[derive(Deserialize)]
struct NormalizedTable {
    mean: f32,
    std: f32,
    values: Vec<f32>,
}

/// The SHA-256 of an operation's result on all colors with one parameter.
#[derive(Deserialize)]
struct CubeDigest {
    value: f32,
    sha256: String,
}

#[test]
fn normalization_equals_torchvision() {
    for table in read_json::<Tables>("tables.json").normalized {
        let ramp = ImageSet::new(
            "ramp",
            (0..=255).collect(),
            [1, 1, 256],
            vec![0],
            vec!["".into()],
        );
        let values = ramp
            .unwrap()
            .tensor(
                &[0],
                &Normalization::gray(table.mean, table.std),
                &Device::flex(),
            )
            .into_data()
            .try_into_vec::<f32>()
            .unwrap();
        assert_eq!(values, table.values);
    }
}

/// All 2^24 colors, planar, red fastest.
fn color_cube() -> Image {
    let plane = |shift: u32| (0..1_u32 << 24).map(move |code| (code >> shift) as u8);
    Image::new(
        plane(0).chain(plane(8)).chain(plane(16)).collect(),
        [3, 4096, 4096],
    )
}

fn sha256(pixels: &[u8]) -> String {
    Sha256::digest(pixels)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// Compares `operation`'s results on all colors, for each parameter, with Pillow's digests.
fn check_cube(goldens: &[CubeDigest], operation: impl Fn(&mut Image, f32)) {
    assert!(!goldens.is_empty());
    let cube = color_cube();
    for golden in goldens {
        let mut cube = cube.clone();
        operation(&mut cube, golden.value);
        assert_eq!(sha256(cube.pixels()), golden.sha256, "{}", golden.value);
    }
}

#[test]
fn grayscale_equals_pillow_for_all_colors() {
    let golden = CubeDigest {
        value: 0.0,
        sha256: read_json::<Tables>("tables.json").grayscale,
    };
    check_cube(&[golden], |cube, _| cube.grayscale());
}

#[test]
fn brightness_equals_pillow_for_all_colors() {
    let goldens = read_json::<Tables>("tables.json").brightness;
    check_cube(&goldens, |cube, factor| cube.adjust_brightness(factor));
}

#[test]
fn contrast_equals_pillow_for_all_colors() {
    let goldens = read_json::<Tables>("tables.json").cube_contrast;
    check_cube(&goldens, |cube, factor| cube.adjust_contrast(factor));
}

#[test]
fn saturation_equals_pillow_for_all_colors() {
    let goldens = read_json::<Tables>("tables.json").saturation;
    check_cube(&goldens, |cube, factor| cube.adjust_saturation(factor));
}

#[test]
fn hue_equals_pillow_for_all_colors() {
    let goldens = read_json::<Tables>("tables.json").hue;
    check_cube(&goldens, |cube, shift| cube.adjust_hue(shift));
}

#[test]
fn solarize_equals_pillow_for_all_colors() {
    let goldens = read_json::<Tables>("tables.json").solarize;
    check_cube(&goldens, |cube, threshold| cube.solarize(threshold as u8));
}

/// The digest of `operation`'s results on test image 1 for each parameter.
fn sha256_of_results(
    parameters: impl Iterator<Item = f32>,
    operation: impl Fn(&mut Image, f32),
) -> String {
    let source = picture(&[vec![vec![1]]]);
    let mut results = Vec::new();
    for parameter in parameters {
        let mut image = source.clone();
        operation(&mut image, parameter);
        results.extend_from_slice(image.pixels());
    }
    sha256(&results)
}

/// Factors at which the product rounds to a whole number: a fused multiply-add would differ in some
/// pixels.
#[test]
fn contrast_equals_pillow_for_dense_factors() {
    let factors = (101..=150_u16)
        .flat_map(|divisor| (0..2 * divisor).map(move |k| f32::from(k) / f32::from(divisor)));
    assert_eq!(
        sha256_of_results(factors, |image, factor| image.adjust_contrast(factor)),
        read_json::<Tables>("tables.json").contrast
    );
}

#[test]
fn blur_equals_pillow_for_dense_sigmas() {
    let sigmas = (0..4000_u16).map(|k| f32::from(k) * 0.0011);
    assert_eq!(
        sha256_of_results(sigmas, |image, sigma| image.gaussian_blur(sigma)),
        read_json::<Tables>("tables.json").blur
    );
}

#[test]
#[should_panic(expected = "of an image of 2 x 2")]
fn crop_beyond_the_image_panics() {
    Resize::whole(
        crop_box([1, 0, 2, 2]),
        [1, 1],
        Interpolation::Bilinear,
        PassOrder::Shorter,
    )
    .apply(&Photo::new(vec![0; 4], [2, 2, 1]));
}

#[test]
#[should_panic(expected = "3 pixel values for an image of shape [1, 2, 2]")]
fn wrong_shape_panics() {
    Image::new(vec![0; 3], [1, 2, 2]);
}
