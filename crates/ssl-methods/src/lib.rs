//! Self-supervised methods for Burn: heads, base losses, and the optimisers they need.
