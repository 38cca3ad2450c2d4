//! Image sources, augmentations and loaders for self-supervised vision.
