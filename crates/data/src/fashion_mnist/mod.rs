//! Fashion-MNIST: photographs of clothes, 28 x 28, gray, ten classes (Xiao, Rasul and Vollgraf,
//! 2017; MIT license).
//!
//! With the default feature `embedded`, a class-balanced subset of 10,000 training images and all
//! 10,000 test images are in this crate, so nothing has to be downloaded; [`load_idx`] reads the
//! full set of 60,000 + 10,000 from its four files.

#[cfg(feature = "embedded")]
mod embedded;
mod idx;

use std::sync::LazyLock;

#[cfg(feature = "embedded")]
pub use embedded::{embedded_test, embedded_train};
pub use idx::load_idx;

use crate::Normalization;

/// Mean and standard deviation over all pixels of the 60,000 training images.
pub static NORMALIZATION: LazyLock<Normalization> =
    LazyLock::new(|| Normalization::gray(0.2860, 0.3530));

/// Height and width of an image.
const SIDE: usize = 28;

/// The classes, in the order of their labels.
const CLASSES: [&str; 10] = [
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
];

/// The class names as a set holds them.
fn classes() -> Vec<String> {
    CLASSES.map(String::from).to_vec()
}
