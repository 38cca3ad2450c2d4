use std::fmt;
use std::num::NonZeroUsize;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// A probe's view of a training image.
///
/// As text and in serde: `center`, a number such as `4`, or `fresh`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[non_exhaustive]
pub enum Crops {
    /// The center crop in every epoch.
    #[default]
    Center,
    /// This number of random crops with random flips. Their features are computed once, and epoch e
    /// sees crop e mod the number.
    Cached(NonZeroUsize),
    /// A new random crop with a random flip in each epoch: the published protocol. The features of
    /// the labeled images are computed again for each epoch.
    Fresh,
}

impl Crops {
    /// Number of features of each training image in memory at a time.
    pub fn in_memory(self) -> usize {
        match self {
            Self::Center | Self::Fresh => 1,
            Self::Cached(count) => count.get(),
        }
    }
}

impl fmt::Display for Crops {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Center => f.pad("center"),
            Self::Cached(count) => count.fmt(f),
            Self::Fresh => f.pad("fresh"),
        }
    }
}

impl FromStr for Crops {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "center" | "0" => Ok(Self::Center),
            "fresh" => Ok(Self::Fresh),
            _ => match text.parse() {
                Ok(count) => Ok(Self::Cached(count)),
                Err(_) => {
                    let expected = "center, fresh, or a number of random crops";
                    Err(Error::invalid("crops", text, expected))
                }
            },
        }
    }
}

impl TryFrom<String> for Crops {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<Crops> for String {
    fn from(crops: Crops) -> Self {
        crops.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_mean_crops_and_back() {
        for text in ["center", "fresh", "4"] {
            assert_eq!(text.parse::<Crops>().unwrap().to_string(), text);
        }
        assert_eq!("0".parse::<Crops>().unwrap(), Crops::Center);
        assert_eq!("4".parse::<Crops>().unwrap().in_memory(), 4);
        for text in ["", "-1", "1.5", "all"] {
            let error = text.parse::<Crops>().unwrap_err().to_string();
            assert!(error.contains("center, fresh"), "{error}");
        }
    }
}
