use std::borrow::Cow;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::StepMetrics;

/// A running number on stderr, absent where stderr is no terminal.
pub(crate) fn counter(what: &'static str) -> ProgressBar {
    let style = ProgressStyle::with_template("{spinner} {pos} {msg}");
    ProgressBar::no_length()
        .with_style(style.expect("the template is valid"))
        .with_message(what)
}

/// A progress bar on stderr, absent where stderr is no terminal.
#[derive(Debug)]
pub(crate) struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// A bar among others, of `length` steps that are named by what it says in front, with `done` steps behind it.
    pub(crate) fn new(
        bars: &MultiProgress,
        what: impl Into<Cow<'static, str>>,
        length: usize,
        done: usize,
    ) -> Self {
        // Added before it is drawn for the first time, or it would be drawn twice.
        let progress = Self::styled(bars.add(ProgressBar::new(length as u64)), what);
        progress.bar.set_position(done as u64);
        progress.bar.reset_eta();
        progress
    }

    fn styled(bar: ProgressBar, what: impl Into<Cow<'static, str>>) -> Self {
        let style =
            "{prefix:<22} {bar:24.cyan/blue} {pos:>5}/{len} {elapsed:>4} left {eta:>4}  {wide_msg}";
        let style = ProgressStyle::with_template(style).expect("the template is valid");
        bar.set_style(style);
        bar.set_prefix(what);
        Self { bar }
    }

    pub(crate) fn tick(&self) {
        self.bar.inc(1);
    }

    pub(crate) fn set(&self, position: usize) {
        self.bar.set_position(position as u64);
    }

    pub(crate) fn step(&self, metrics: &StepMetrics) {
        // Where SwAV is stuck when it fails to learn.
        let stuck = metrics.base.get("ln_prototypes");
        let stuck = stuck.map_or(String::new(), |stuck| format!(" (ln K {stuck:.2})"));
        self.bar.set_message(format!(
            "base loss {:.3}{stuck}  entropy {:.3}  covariance {:.4}  {:.0} img/s",
            metrics.base_loss(),
            metrics.entropy,
            metrics.covariance,
            metrics.images_per_second
        ));
        self.bar.inc(1);
    }

    pub(crate) fn finish(self) {
        self.bar.finish_and_clear();
    }
}
