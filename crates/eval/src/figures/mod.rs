//! Figures as SVG text, for reports in HTML and for files.
//!
//! Every function returns a complete `<svg>` element with a `viewBox`, a white background and the
//! title as its accessible name. It needs no extra font, script or style sheet, and it scales with
//! the width of the page. Values that are not finite are left out. A figure without any value says
//! "no data". The palette is Okabe and Ito's, which color-blind readers can distinguish. Series
//! also differ in their markers, so the figures can be read in black and white.

mod accuracy;
mod axis;
mod canvas;
mod distances;
mod heat_map;
mod legend;
mod line;
mod marginals;
mod marker;
mod table;

pub use accuracy::{AccuracyEntry, AccuracyGroup, accuracy_chart};
pub use distances::distance_histograms;
pub use heat_map::heat_map;
pub use line::{Series, line_chart};
pub use marginals::{MarginalsConfig, marginals};
pub use table::{TableRow, table};
