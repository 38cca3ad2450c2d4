use super::tile::MAX_WIDTH;

/// How the centred Psi(z), \[n, d\], lies in memory.
///
/// If d > n the n x n form of the covariance is used, and columns lie in panels, one row-major matrix
/// after the other: with rows d apart, those of a panel would fall into few sets of the caches. Else
/// the d x d form is used, and there is one panel.
#[derive(Debug, Clone, Copy)]
pub(super) struct Layout {
    pub n: usize,
    pub d: usize,
}

/// Some columns that belong together: `width` of them, from `first` on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Panel {
    pub first: usize,
    pub width: usize,
    /// Where its elements begin in memory.
    pub offset: usize,
}

impl Layout {
    pub(super) fn of(n: usize, d: usize) -> Self {
        Self { n, d }
    }

    /// Whether the n x n form of the covariance is used.
    pub(super) fn gram_form(self) -> bool {
        self.d > self.n
    }

    /// Columns that one thread does at a time: enough tasks for many threads, wide enough for fast
    /// products. A multiple of [`MAX_WIDTH`].
    pub(super) fn task_width(self) -> usize {
        self.d
            .div_ceil(8)
            .next_multiple_of(MAX_WIDTH)
            .clamp(32, 256)
    }

    fn panel_width(self) -> usize {
        if self.gram_form() {
            self.task_width()
        } else {
            self.d
        }
    }

    /// The panel that holds a column.
    pub(super) fn panel_at(self, column: usize) -> Panel {
        let first = column - column % self.panel_width();
        Panel {
            first,
            width: self.panel_width().min(self.d - first),
            offset: first * self.n,
        }
    }

    pub(super) fn panels(self) -> impl Iterator<Item = Panel> {
        (0..self.d)
            .step_by(self.panel_width())
            .map(move |first| self.panel_at(first))
    }
}
