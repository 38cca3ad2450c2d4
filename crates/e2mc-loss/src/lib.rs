//! E2MC, the effective-entropy-maximisation criterion, for any Burn training loop.
