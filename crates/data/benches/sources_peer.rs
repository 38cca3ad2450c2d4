//! One side of benches/peers/decode.py. Reads lines and answers each with one line:
//!
//! - `open FOLDER FILE`: reads the images of FOLDER into memory and prepares them in FILE. Answers
//!   with their number and the bytes of the images and of FILE.
//! - `decode`, `folder`, `prepared`: the milliseconds per image to decode all images from memory,
//!   read them from the folder, or read them from the prepared file, in one thread.
//! - `scan FOLDER CACHE`: the number of images found, the seconds of the search, and the seconds to
//!   load the list from CACHE.

use std::io::{BufRead, Write, stdin, stdout};
use std::path::Path;
use std::time::Instant;

use e2mc_data::Photo;
use e2mc_data::decode::{DecodeLimits, decode};
use e2mc_data::source::{ImageFolder, ImageSource, Prepared, ScanOptions};

struct Opened {
    folder: ImageFolder,
    bytes: Vec<Vec<u8>>,
    prepared: Prepared,
}

impl Opened {
    fn new(folder: &str, file: &str) -> Self {
        let folder =
            ImageFolder::open_flat(Path::new(folder), &ScanOptions::new()).expect("images");
        let bytes = (0..folder.len())
            .map(|index| std::fs::read(folder.root().join(folder.path(index))).expect("a file"))
            .collect();
        let prepared =
            Prepared::create(Path::new(file), &folder, &|_| {}).expect("a place to write");
        Self {
            folder,
            bytes,
            prepared,
        }
    }
}

/// Milliseconds per image in a pass over all images.
fn pass(count: usize, mut read: impl FnMut(usize, &mut Photo)) -> String {
    let mut photo = Photo::default();
    let start = Instant::now();
    (0..count).for_each(|index| read(index, &mut photo));
    format!("{:.5}", start.elapsed().as_secs_f64() * 1e3 / count as f64)
}

fn main() {
    let mut opened = None;
    for line in stdin().lock().lines() {
        let line = line.expect("text on standard input");
        let words: Vec<&str> = line.split_whitespace().collect();
        let images = || opened.as_ref().expect("open comes first");
        let answer = match words[..] {
            ["open", folder, file] => {
                let images = opened.insert(Opened::new(folder, file));
                let bytes: usize = images.bytes.iter().map(Vec::len).sum();
                let prepared = std::fs::metadata(file)
                    .expect("the file just written")
                    .len();
                format!("{} {bytes} {prepared}", images.bytes.len())
            }
            ["decode"] => pass(images().bytes.len(), |index, photo| {
                decode(&images().bytes[index], &DecodeLimits::default(), photo).expect("an image");
            }),
            ["folder"] => pass(images().bytes.len(), |index, photo| {
                images().folder.read(index, photo).expect("an image");
            }),
            ["prepared"] => pass(images().bytes.len(), |index, photo| {
                images().prepared.read(index, photo).expect("an image");
            }),
            ["scan", folder, cache] => {
                let search = || {
                    let start = Instant::now();
                    let options = ScanOptions::new().with_cache(cache);
                    let found = ImageFolder::open(Path::new(folder), &options).expect("a folder");
                    (found.len(), start.elapsed().as_secs_f64())
                };
                // An error is expected: there is no cache the first time.
                let _ = std::fs::remove_file(cache);
                let ((count, first), (_, second)) = (search(), search());
                format!("{count} {first:.3} {second:.3}")
            }
            _ => panic!("unknown request: {line}"),
        };
        println!("{answer}");
        stdout().flush().expect("someone reads the answers");
    }
}
