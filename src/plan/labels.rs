use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use e2mc_eval::LabelAmount;
use serde::{Deserialize, Serialize};

use crate::files::read_text_lossy;
use crate::{Error, Result};

/// The prefix of a list of images in text form.
const LIST: &str = "list:";
/// Number of ImageNet's training images. Lists of 1% and 10% of them are published.
const IMAGENET: usize = 1_281_167;

/// The training images whose labels a classifier sees.
///
/// As text and in serde: an amount such as `1%` or `5/class`, or `list:FILE`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[non_exhaustive]
pub enum Labels {
    /// An amount, drawn at random with the same share of each class.
    Amount(LabelAmount),
    /// The images named in a text file, one per line, see
    /// [`listed`](e2mc_data::source::imagenet::listed).
    List(PathBuf),
}

impl Labels {
    /// Whether images are drawn at random: false for all labels and for a list.
    pub fn are_drawn(&self) -> bool {
        matches!(self, Self::Amount(amount) if *amount != LabelAmount::ALL)
    }

    /// The published amount whose settings apply. For an amount, the
    /// [nearest](LabelAmount::nearest_published) one. For a list, the one nearest to its share of
    /// ImageNet.
    ///
    /// # Errors
    ///
    /// If the list cannot be read.
    pub fn nearest_published(&self) -> Result<LabelAmount> {
        let share = match self {
            Self::Amount(amount) => return Ok(amount.nearest_published()),
            Self::List(file) => read_text_lossy(file)?.lines().count() as f64 / IMAGENET as f64,
        };
        Ok(match share {
            ..=0.03 => LabelAmount::ONE_PERCENT,
            ..=0.3 => LabelAmount::TEN_PERCENT,
            _ => LabelAmount::ALL,
        })
    }

    /// A short name for tables: the amount, or the name of the list's file.
    pub fn title(&self) -> String {
        match self {
            Self::Amount(amount) => amount.to_string(),
            Self::List(file) => {
                let name = file.file_name().unwrap_or(file.as_os_str());
                format!("{LIST}{}", Path::new(name).display())
            }
        }
    }
}

impl From<LabelAmount> for Labels {
    fn from(amount: LabelAmount) -> Self {
        Self::Amount(amount)
    }
}

impl fmt::Display for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Amount(amount) => amount.fmt(f),
            Self::List(file) => f.pad(&format!("{LIST}{}", file.display())),
        }
    }
}

impl FromStr for Labels {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text.strip_prefix(LIST) {
            Some("") => Err(Error::invalid("labels", text, "a file after `list:`")),
            Some(file) => Ok(Self::List(file.into())),
            None => Ok(Self::Amount(text.parse()?)),
        }
    }
}

impl TryFrom<String> for Labels {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<Labels> for String {
    fn from(labels: Labels) -> Self {
        labels.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_mean_labels_and_back() {
        for text in ["1%", "5/class", "list:lists/1percent.txt"] {
            assert_eq!(text.parse::<Labels>().unwrap().to_string(), text);
        }
        let list: Labels = "list:lists/1percent.txt".parse().unwrap();
        assert_eq!(list.title(), "list:1percent.txt");
        assert!(!list.are_drawn());
        for text in ["list:", "1", "list"] {
            assert!(text.parse::<Labels>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_list_has_the_settings_of_its_share_of_imagenet() {
        let folder = tempfile::tempdir().unwrap();
        for (lines, amount) in [(12_811, "1%"), (128_116, "10%"), (1_281_167, "100%")] {
            let file = folder.path().join(amount);
            std::fs::write(&file, "a\r\n".repeat(lines)).unwrap();
            let nearest = Labels::List(file).nearest_published().unwrap();
            assert_eq!(nearest.to_string(), amount);
        }
        let missing = Labels::List(folder.path().join("none.txt"));
        let message = missing.nearest_published().unwrap_err().to_string();
        assert!(message.contains("none.txt"), "{message}");
    }
}
