//! The ResNet family for Burn, with PyTorch checkpoint import and export.
