/// A slope below this share of the initial slope is rounding.
const PRECISION: f64 = 1e-10;

/// Bounds the steps. Each one passes a breakpoint or halves the interval.
const STEPS: usize = 60;

/// The objective along a line `w + t p`.
pub(super) struct Line<'a> {
    /// w . p and p . p.
    pub inner: [f64; 2],
    /// 2 C c_i.
    pub weights: &'a [f64],
    /// 1 - y_i w.x_i.
    pub slack: &'a [f64],
    /// y_i p.x_i: the rate at which the slack falls with t.
    pub fall: &'a [f64],
}

impl Line<'_> {
    /// First and second derivative at t.
    fn derivatives(&self, t: f64) -> [f64; 2] {
        let mut first = self.inner[0] + t * self.inner[1];
        let mut second = self.inner[1];
        for ((weight, slack), fall) in self.weights.iter().zip(self.slack).zip(self.fall) {
            let slack = slack - t * fall;
            if slack > 0.0 {
                first -= weight * slack * fall;
                second += weight * fall * fall;
            }
        }
        [first, second]
    }

    /// The t that minimizes the objective. The slope at 0 must not be positive. Exact up to
    /// rounding, since the slope is piecewise linear.
    pub fn minimum(&self) -> f64 {
        let start = self.derivatives(0.0)[0].abs();
        let (mut low, mut high) = (0.0, f64::INFINITY);
        let mut t = 1.0;
        for _ in 0..STEPS {
            let [first, second] = self.derivatives(t);
            if first.abs() <= PRECISION * start {
                break;
            }
            if first < 0.0 {
                low = t
            } else {
                high = t
            }
            let newton = t - first / second;
            t = if newton > low && newton < high {
                newton
            } else {
                0.5 * (low + high)
            };
        }
        t
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_hand() {
        // t^2 / 2 + max(0, 1 - t)^2 + max(0, 2 + t)^2 falls to the left until 3 t + 1 + ... = 0.
        let line = Line {
            inner: [0.0, 1.0],
            weights: &[2.0, 2.0],
            slack: &[1.0, 3.0],
            fall: &[1.0, 1.0],
        };
        // Both active: t - 2 (1 - t) - 2 (3 - t) = 0 at 8/5, where the first is not active;
        // then t - 2 (3 - t) = 0 at 2.
        assert!((line.minimum() - 2.0).abs() < 1e-9);
    }
}
