//! Figures as SVG text, for reports in HTML and for files.
//!
//! Every function returns a complete `<svg>` element with a `viewBox`, a white background and the
//! title as its accessible name; it needs no font, script or style sheet of its own and scales with
//! the width of the page. Values that are not finite are left out; a figure without any value says
//! "no data". Colours are those of Okabe and Ito, which colour-blind readers can tell apart.

mod accuracy;
mod axis;
mod canvas;
mod legend;
mod line;
mod marginals;

pub use accuracy::{AccuracyEntry, AccuracyGroup, accuracy_chart};
pub use line::{Series, line_chart};
pub use marginals::{MarginalsConfig, marginals};
