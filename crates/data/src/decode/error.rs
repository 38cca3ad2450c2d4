/// Why the bytes of a file are no image that can be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// There are no bytes.
    #[error("the file is empty")]
    Empty,
    /// The first bytes are those of no known image format.
    #[error("not an image (expected JPEG, PNG or WebP)")]
    UnknownFormat,
    /// The first bytes are those of something else that often has an image's name.
    #[error("not an image, but {0}")]
    NotAnImage(String),
    /// An image, but of a kind that is not read.
    #[error("{0} is not supported (convert it to JPEG, PNG or WebP)")]
    Unsupported(String),
    /// The file ends too early.
    #[error("the file is truncated")]
    Truncated,
    /// The content contradicts the format.
    #[error("the file is damaged: {0}")]
    Corrupt(String),
    /// The header announces more pixels than [`DecodeLimits`](super::DecodeLimits) allows.
    #[error(
        "{width} x {height} pixels exceed the limit of {max_pixels} (a decompression bomb? raise the limit if not)"
    )]
    TooLarge {
        /// The width announced.
        width: u32,
        /// The height announced.
        height: u32,
        /// The limit.
        max_pixels: u64,
    },
}
