//! The paper's numbers: top-1 accuracy in %, mean of three trials (AISTATS 2025).

use super::BaseName;

/// A row of Tables 1 and 2.
pub(super) struct Published {
    pub(super) base: BaseName,
    /// The backbone's name in a study.
    pub(super) backbone: &'static str,
    /// Its name in the tables.
    pub(super) title: &'static str,
    /// Linear probes with 1%, 10% and 100% of the labels.
    pub(super) linear: [f64; 3],
    /// Fine-tuning with 1% and 10% of the labels.
    pub(super) finetuned: Option<[f64; 2]>,
    /// iNaturalist 2018 and Pascal VOC 2007 (mAP).
    pub(super) transfer: Option<[f64; 2]>,
}

const fn row(
    base: BaseName,
    backbone: &'static str,
    title: &'static str,
    linear: [f64; 3],
    finetuned: Option<[f64; 2]>,
    transfer: Option<[f64; 2]>,
) -> Published {
    Published {
        base,
        backbone,
        title,
        linear,
        finetuned,
        transfer,
    }
}

/// Tables 1 and 2. SwAV's base has 800 epochs.
pub(super) const ROWS: [Published; 9] = {
    use BaseName::{SimSiam, Swav, VicReg};
    [
        row(
            VicReg,
            "base",
            "VICReg",
            [53.50, 66.57, 73.20],
            Some([54.53, 67.97]),
            Some([47.00, 86.60]),
        ),
        row(
            VicReg,
            "continued",
            "VICReg, continued",
            [53.51, 66.57, 73.16],
            None,
            None,
        ),
        row(
            VicReg,
            "e2mc",
            "VICReg + E2MC",
            [54.54, 66.82, 73.45],
            Some([55.05, 68.12]),
            Some([47.18, 86.80]),
        ),
        row(
            Swav,
            "base",
            "SwAV",
            [53.70, 68.86, 75.30],
            Some([53.89, 70.22]),
            Some([49.08, 88.56]),
        ),
        row(
            Swav,
            "continued",
            "SwAV, continued",
            [53.69, 68.87, 75.32],
            None,
            None,
        ),
        row(
            Swav,
            "e2mc",
            "SwAV + E2MC",
            [55.27, 68.98, 75.41],
            Some([53.94, 70.32]),
            Some([49.72, 88.69]),
        ),
        row(
            SimSiam,
            "base",
            "SimSiam",
            [43.71, 60.15, 68.37],
            None,
            Some([38.75, 84.62]),
        ),
        row(
            SimSiam,
            "continued",
            "SimSiam, continued",
            [43.78, 60.23, 68.45],
            None,
            None,
        ),
        row(
            SimSiam,
            "e2mc",
            "SimSiam + E2MC",
            [43.78, 60.23, 68.52],
            None,
            Some([38.99, 84.54]),
        ),
    ]
};

/// Table 3: SwAV with other criteria, by the branch's name.
pub(super) const CRITERIA: [(&str, &str, [f64; 3]); 4] = [
    ("vcreg", "+ VCReg", [54.02, 68.88, 75.36]),
    ("mmcr", "+ MMCR", [53.30, 68.77, 75.27]),
    ("uniformity", "+ AUH uniformity", [53.84, 68.90, 75.33]),
    ("e2mc", "+ E2MC", [55.27, 68.98, 75.41]),
];

/// Table D.2: entropy weight, covariance weight, and SwAV's accuracy with 1% of the labels.
pub(super) const WEIGHTS: [(f64, f64, f64); 12] = [
    (0.0, 0.0, 53.69),
    (1.0, 0.0, 53.85),
    (0.0, 1.0, 53.63),
    (1.0, 25.0, 55.27),
    (1.0, 0.1, 53.92),
    (0.1, 1.0, 54.09),
    (1.0, 1.0, 54.29),
    (1.0, 10.0, 54.99),
    (10.0, 1.0, 51.53),
    (10.0, 25.0, 55.12),
    (0.1, 25.0, 53.88),
    (0.0, 25.0, 53.66),
];
