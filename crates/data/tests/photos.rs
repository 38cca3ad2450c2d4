//! Every operation on real photographs against torchvision on Pillow, with zero difference.
//! tests/reference/photos.py writes the photographs and torchvision's results, and says how to run
//! this. Without them nothing is compared.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use e2mc_data::Photo;
use e2mc_data::augment::{Image, PassOrder};
use e2mc_data::{Crop, Normalization, SampledView};
use rand::SeedableRng;
use rand::rngs::ChaCha8Rng;
use serde::Deserialize;
use sha2::{Digest, Sha256};

#[derive(Deserialize)]
struct Case {
    photo: String,
    name: String,
    view: Option<SampledView>,
    center: Option<Crop>,
    #[serde(default)]
    normalized: bool,
    sha256: String,
}

impl Case {
    fn apply(&self, photo: &Photo) -> Image {
        let Some(view) = &self.view else {
            let [height, width, _] = photo.shape();
            let crop = self.center.expect("a view or a center crop");
            // Nothing about a center crop is random.
            let rng = &mut ChaCha8Rng::seed_from_u64(0);
            return crop
                .sample(height, width, PassOrder::Shorter, rng)
                .apply(photo);
        };
        view.apply(photo)
    }
}

/// A binary PPM, as Pillow writes it.
fn read_ppm(path: &Path) -> Photo {
    let bytes = std::fs::read(path).unwrap();
    let mut header = bytes.splitn(4, |byte| byte.is_ascii_whitespace());
    let mut number = || {
        str::from_utf8(header.next().unwrap())
            .unwrap()
            .parse::<usize>()
    };
    assert!(number().is_err(), "P6");
    let (width, height) = (number().unwrap(), number().unwrap());
    let size = width * height * 3;
    Photo::new(bytes[bytes.len() - size..].to_vec(), [height, width, 3])
}

#[test]
fn photographs_equal_torchvision() {
    let Some(folder) = std::env::var_os("E2MC_PARITY").map(PathBuf::from) else {
        println!("skipped: E2MC_PARITY is not set, see tests/reference/photos.py");
        return;
    };
    let cases = std::fs::read(folder.join("cases.json")).unwrap();
    let cases: Vec<Case> = serde_json::from_slice(&cases).unwrap();
    let mut photos = BTreeMap::new();
    let mut agreed = BTreeMap::<&str, [usize; 2]>::new();
    let mut different = Vec::new();
    for case in &cases {
        let photo = photos
            .entry(&case.photo)
            .or_insert_with(|| read_ppm(&folder.join(format!("{}.ppm", case.photo))));
        let image = case.apply(photo);
        let digest = if case.normalized {
            let values = Normalization::imagenet().apply(&image);
            let bytes: Vec<u8> = values
                .iter()
                .flat_map(|value| value.to_le_bytes())
                .collect();
            Sha256::digest(bytes)
        } else {
            Sha256::digest(image.pixels())
        };
        let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        let [same, all] = agreed.entry(&case.name).or_default();
        *all += 1;
        if digest == case.sha256 {
            *same += 1;
        } else {
            different.push(format!("{}: {}, {:?}", case.photo, case.name, case.view));
        }
    }
    println!("{} photographs", photos.len());
    for (name, [same, all]) in agreed {
        println!("| {name} | {same} of {all} |");
    }
    assert!(photos.len() >= 40, "only {} photographs", photos.len());
    assert!(
        different.is_empty(),
        "{}",
        different[..different.len().min(20)].join("\n")
    );
}
