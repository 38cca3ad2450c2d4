//! The settings of the step that SGD, LARC and LARS share.

/// Keeps LARC's rate finite (docs/paper.md, "Optimizers").
pub(super) const EPSILON: f64 = 1e-8;

/// How a gradient is adapted to the norm of its parameter.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Adaptation {
    None,
    /// Times `trust * |p| / (|g| + weight_decay * |p| + 1e-8)`; 0 where the gradient is 0.
    Larc {
        trust: f64,
    },
    /// Times `trust * |p| / |g + weight_decay * p|`, where both norms are above 0.
    Lars {
        trust: f64,
    },
}

/// `g = (g + weight_decay * p) * adaptation`, `buffer = momentum * buffer + g` (`g` at first),
/// `p -= lr * buffer`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Descent {
    pub momentum: f64,
    pub weight_decay: f64,
    pub adaptation: Adaptation,
}

#[cfg(feature = "flex")]
impl Descent {
    /// The factor of the adaptation, given the norms of parameter, gradient, and gradient with
    /// decay.
    pub(super) fn factor(&self, tensor: f64, grad: f64, decayed: f64) -> f64 {
        match self.adaptation {
            Adaptation::None => 1.0,
            Adaptation::Larc { .. } | Adaptation::Lars { .. } if tensor == 0.0 => 1.0,
            Adaptation::Larc { .. } if grad == 0.0 => 0.0,
            Adaptation::Larc { trust } => {
                trust * tensor / (grad + self.weight_decay * tensor + EPSILON)
            }
            Adaptation::Lars { .. } if decayed == 0.0 => 1.0,
            Adaptation::Lars { trust } => trust * tensor / decayed,
        }
    }
}
