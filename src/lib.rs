//! Makes already-trained self-supervised vision models better.
