use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{EvalError, Result};

/// One percent, in millionths of the whole.
const PERCENT: u32 = 10_000;

/// How many training images a probe has labels for (App. B.2): a percentage of them, or a number of
/// images per class.
///
/// As text and in serde: `1%`, `0.5%`, `100%`, `5/class`. Percentages sort before images per class,
/// and each kind sorts from few labels to many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct LabelAmount(Amount);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Amount {
    /// Millionths of the labels, so that amounts can be compared exactly.
    Millionths(NonZeroU32),
    PerClass(NonZeroU32),
}

impl LabelAmount {
    /// 1% of the labels: 12,811 images of ImageNet.
    pub const ONE_PERCENT: Self = Self::percent(1);
    /// 10% of the labels: 128,117 images of ImageNet.
    pub const TEN_PERCENT: Self = Self::percent(10);
    /// All labels.
    pub const ALL: Self = Self::percent(100);
    /// The paper's three amounts, from few labels to many.
    pub const PUBLISHED: [Self; 3] = [Self::ONE_PERCENT, Self::TEN_PERCENT, Self::ALL];

    const fn percent(percent: u32) -> Self {
        Self(Amount::Millionths(
            NonZeroU32::new(percent * PERCENT).expect("above 0%"),
        ))
    }

    /// This many images of each class.
    pub fn per_class(images: NonZeroU32) -> Self {
        Self(Amount::PerClass(images))
    }

    /// The share of the labels, in (0, 1]; `None` for images per class.
    pub fn share(self) -> Option<f64> {
        match self.0 {
            Amount::Millionths(parts) => Some(f64::from(parts.get()) / 1e6),
            Amount::PerClass(_) => None,
        }
    }

    /// The images per class, at least 1; `None` for a percentage.
    pub fn images_per_class(self) -> Option<usize> {
        match self.0 {
            Amount::Millionths(_) => None,
            Amount::PerClass(images) => Some(images.get() as usize),
        }
    }

    /// The published amount whose probe settings apply here: 1% up to 3% and for images per class,
    /// 10% up to 30%, else 100%.
    pub fn nearest_published(self) -> Self {
        match self.0 {
            Amount::PerClass(_) => Self::ONE_PERCENT,
            Amount::Millionths(parts) if parts.get() <= 3 * PERCENT => Self::ONE_PERCENT,
            Amount::Millionths(parts) if parts.get() <= 30 * PERCENT => Self::TEN_PERCENT,
            Amount::Millionths(_) => Self::ALL,
        }
    }
}

impl fmt::Display for LabelAmount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&match self.0 {
            Amount::PerClass(images) => format!("{images}/class"),
            Amount::Millionths(parts) => {
                let (whole, rest) = (parts.get() / PERCENT, parts.get() % PERCENT);
                match format!("{rest:04}").trim_end_matches('0') {
                    "" => format!("{whole}%"),
                    decimals => format!("{whole}.{decimals}%"),
                }
            }
        })
    }
}

impl FromStr for LabelAmount {
    type Err = EvalError;

    fn from_str(text: &str) -> Result<Self> {
        parse(text).ok_or_else(|| EvalError::LabelAmount { text: text.into() })
    }
}

fn parse(text: &str) -> Option<LabelAmount> {
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if let Some(images) = text.strip_suffix("/class") {
        let images = Some(images).filter(|images| digits(images))?;
        return images.parse().ok().map(LabelAmount::per_class);
    }
    let percent = text.strip_suffix('%')?;
    let (whole, decimals) = percent.split_once('.').unwrap_or((percent, "0"));
    if !digits(whole) || !digits(decimals) || decimals.is_empty() || decimals.len() > 4 {
        return None;
    }
    let whole: u32 = whole.parse().ok().filter(|&whole| whole <= 100)?;
    let decimals: u32 = format!("{decimals:0<4}").parse().ok()?;
    let parts = whole * PERCENT + decimals;
    let parts = NonZeroU32::new(parts).filter(|parts| parts.get() <= 100 * PERCENT)?;
    Some(LabelAmount(Amount::Millionths(parts)))
}

impl TryFrom<String> for LabelAmount {
    type Error = EvalError;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<LabelAmount> for String {
    fn from(amount: LabelAmount) -> Self {
        amount.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> LabelAmount {
        text.parse().unwrap()
    }

    #[test]
    fn texts_mean_amounts_and_back() {
        for (text, share) in [
            ("1%", 0.01),
            ("10%", 0.1),
            ("100%", 1.0),
            ("0.5%", 0.005),
            ("33.3333%", 0.333_333),
            ("0.0001%", 1e-6),
        ] {
            assert_eq!(parsed(text).share(), Some(share));
            assert_eq!(parsed(text).images_per_class(), None);
            assert_eq!(parsed(text).to_string(), text);
        }
        assert_eq!(parsed("5/class").images_per_class(), Some(5));
        assert_eq!(parsed("5/class").share(), None);
        assert_eq!(parsed("5/class").to_string(), "5/class");
        assert_eq!(format!("{:>6}|", parsed("01.50%")), "  1.5%|");
        assert_eq!(
            LabelAmount::PUBLISHED.map(|a| a.to_string()),
            ["1%", "10%", "100%"]
        );
    }

    #[test]
    fn other_texts_are_rejected() {
        for text in [
            "",
            "%",
            "1",
            "0%",
            "0.0%",
            "100.0001%",
            "101%",
            "-1%",
            "+1%",
            "1.%",
            ".5%",
            "1 %",
            "1e1%",
            "0.00001%",
            "1,5%",
            "NaN%",
            "99999999999%",
            "/class",
            "0/class",
            "-5/class",
            "+5/class",
            "5 /class",
            "1.5/class",
            "5/Class",
            "99999999999/class",
        ] {
            let error = text.parse::<LabelAmount>().unwrap_err().to_string();
            assert!(
                error.starts_with(&format!("`{text}` is not an amount")),
                "{error}"
            );
        }
    }

    #[test]
    fn json_holds_the_text() {
        let json = serde_json::to_string(&[parsed("1%"), parsed("5/class")]).unwrap();
        assert_eq!(json, r#"["1%","5/class"]"#);
        let back: Vec<LabelAmount> = serde_json::from_str(&json).unwrap();
        assert_eq!(back, [LabelAmount::ONE_PERCENT, parsed("5/class")]);
        assert!(serde_json::from_str::<LabelAmount>(r#""2""#).is_err());
    }

    #[test]
    fn settings_are_those_of_the_nearest_published_amount() {
        for (text, published) in [
            ("0.1%", "1%"),
            ("1%", "1%"),
            ("3%", "1%"),
            ("3.0001%", "10%"),
            ("10%", "10%"),
            ("30%", "10%"),
            ("30.1%", "100%"),
            ("100%", "100%"),
            ("50/class", "1%"),
        ] {
            assert_eq!(parsed(text).nearest_published().to_string(), published);
        }
    }

    #[test]
    fn amounts_are_in_order() {
        let mut amounts = ["5/class", "100%", "2%", "1/class", "10%"].map(parsed);
        amounts.sort();
        let sorted = amounts.map(|amount| amount.to_string());
        assert_eq!(sorted, ["2%", "10%", "100%", "1/class", "5/class"]);
    }
}
