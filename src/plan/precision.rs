use std::fmt;
use std::str::FromStr;

use burn::tensor::{DType, Tensor};
use serde::{Deserialize, Serialize};

/// Number format of a training.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Precision {
    /// 32-bit floating point throughout.
    F32,
    /// Mixed precision: the convolutions and linear layers up to the embeddings, and what passes
    /// between them, in bfloat16; parameters, optimizer, batch normalization, losses and criterion
    /// in f32.
    Bf16,
}

impl Precision {
    /// The float type of the network's inputs, which is that of its products.
    pub fn dtype(self) -> DType {
        match self {
            Self::F32 => DType::F32,
            Self::Bf16 => DType::BF16,
        }
    }

    /// Views of a training in this precision, given in f32.
    pub(crate) fn of_views(self, views: Vec<Tensor<4>>) -> Vec<Tensor<4>> {
        let views = views.into_iter().map(|view| view.cast(self.dtype()));
        views.collect()
    }
}

impl FromStr for Precision {
    type Err = String;

    /// Reads `f32` or `bf16`.
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "f32" => Ok(Self::F32),
            "bf16" => Ok(Self::Bf16),
            _ => Err("expected f32 or bf16".into()),
        }
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
        })
    }
}
