use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use ssl_methods::leaves_single_image;

/// The number of images that pass through the network at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Form", into = "Form")]
#[non_exhaustive]
pub enum MicroBatch {
    /// This number of images, at least 2.
    Images(usize),
    /// As many as the calculated memory of a step allows. A step that exhausts the memory is
    /// repeated with half as many, which then stay.
    Auto,
}

/// The JSON form: a number, or `"auto"`.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Form {
    Images(usize),
    Name(String),
}

const EXPECTED: &str = "expected a number of images, or auto";

impl MicroBatch {
    /// The number, if it is given.
    pub fn images(self) -> Option<usize> {
        match self {
            Self::Images(images) => Some(images),
            Self::Auto => None,
        }
    }
}

impl TryFrom<Form> for MicroBatch {
    type Error = String;

    fn try_from(form: Form) -> Result<Self, String> {
        match form {
            Form::Images(images) => Ok(Self::Images(images)),
            Form::Name(name) => name.parse(),
        }
    }
}

impl From<MicroBatch> for Form {
    fn from(micro_batch: MicroBatch) -> Self {
        match micro_batch {
            MicroBatch::Images(images) => Self::Images(images),
            MicroBatch::Auto => Self::Name("auto".into()),
        }
    }
}

impl FromStr for MicroBatch {
    type Err = String;

    /// Reads a number or `auto`.
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            _ => text.parse().map(Self::Images).map_err(|_| EXPECTED.into()),
        }
    }
}

impl fmt::Display for MicroBatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Images(images) => images.fmt(f),
            Self::Auto => f.write_str("auto"),
        }
    }
}

/// The largest number of images, at most `limit`, for the pieces of `share` images, none of which
/// may be a single image. A number that divides `share` is preferred if it is over half as large:
/// batch normalization then sees equally many images in every piece. None if `limit` is too small.
pub(crate) fn equal_pieces(share: usize, limit: usize) -> Option<usize> {
    let sizes = || (2..=limit.min(share)).rev();
    let largest = sizes().find(|&images| !leaves_single_image(share, images))?;
    let equal = sizes().find(|images| share.is_multiple_of(*images));
    Some(equal.filter(|equal| 2 * equal > largest).unwrap_or(largest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_a_number_or_auto_in_json_and_on_the_command_line() {
        for (text, json, expected) in [
            ("64", "64", MicroBatch::Images(64)),
            ("auto", "\"auto\"", MicroBatch::Auto),
        ] {
            assert_eq!(text.parse(), Ok(expected));
            assert_eq!(expected.to_string(), text);
            assert_eq!(serde_json::to_string(&expected).unwrap(), json);
            let read: MicroBatch = serde_json::from_str(json).unwrap();
            assert_eq!(read, expected);
        }
        for text in ["automatic", "-3", ""] {
            assert!(text.parse::<MicroBatch>().unwrap_err().contains("auto"));
        }
        let error = serde_json::from_str::<MicroBatch>("\"half\"").unwrap_err();
        assert!(error.to_string().contains("or auto"), "{error}");
    }

    #[test]
    fn pieces_are_equal_where_that_costs_less_than_half() {
        for (share, limit, expected) in [
            (512, 1000, Some(512)),
            (512, 511, Some(256)),
            (512, 100, Some(64)),
            (100, 60, Some(50)),
            // 13 would leave a single image, and no number divides 53.
            (53, 13, Some(12)),
            (4, 1, None),
            (3, 2, None),
        ] {
            assert_eq!(equal_pieces(share, limit), expected, "{share} by {limit}");
        }
    }
}
