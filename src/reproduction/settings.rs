use std::path::PathBuf;

use serde::Serialize;

use super::Part;
use crate::plan::CheckpointStart;
use crate::{Error, Preset, Result, parse_device};

/// The parts to reproduce, the images and the bases.
#[derive(Debug, Clone, PartialEq)]
pub struct ReproductionPlan {
    /// The tables and figures.
    pub parts: Vec<Part>,
    /// Labeled images. None: the embedded images.
    pub data: Option<PathBuf>,
    /// `[height, width, channels]` of the images, for networks for small images.
    pub image_shape: Option<[usize; 3]>,
    /// The base of each method. None: it is trained first on the images, with the small preset.
    pub bases: Vec<(BaseName, Option<CheckpointStart>)>,
    /// Seeds of each continued training, from 0 on; at least 1 (paper: 3 trials).
    pub seeds: u64,
    /// Epochs of continued training (paper: 10), at least 1. Table D.2 trains half as long.
    pub epochs: usize,
    /// Images per step; none: the preset's.
    pub batch_size: Option<usize>,
    /// Draws of labels; none: the preset's.
    pub label_draws: Option<usize>,
    /// Name of the device.
    pub device: String,
}

/// The paper's base methods.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum BaseName {
    /// VICReg.
    VicReg,
    /// SwAV.
    Swav,
    /// SimSiam.
    SimSiam,
}

impl BaseName {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::VicReg, Self::Swav, Self::SimSiam];

    /// Name in folders.
    pub fn name(self) -> &'static str {
        match self {
            Self::VicReg => "vicreg",
            Self::Swav => "swav",
            Self::SimSiam => "simsiam",
        }
    }

    /// The preset for small images.
    pub fn small(self) -> Preset {
        match self {
            Self::VicReg => Preset::VicregSmall,
            Self::Swav => Preset::SwavSmall,
            Self::SimSiam => Preset::SimSiamSmall,
        }
    }
}

impl ReproductionPlan {
    /// Checks the settings before the first study.
    pub(super) fn validate(&self) -> Result<()> {
        if self.seeds == 0 {
            return Err(Error::invalid("seeds", 0, "at least 1"));
        }
        if self.epochs == 0 {
            return Err(Error::invalid("epochs", 0, "at least 1"));
        }
        if self.parts.is_empty() {
            return Err(Error::invalid(
                "parts",
                "none",
                "at least one table or figure",
            ));
        }
        parse_device(&self.device)?;
        Ok(())
    }
}
