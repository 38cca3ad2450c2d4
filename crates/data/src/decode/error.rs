/// Why the bytes of a file cannot be used as an image.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// There are no bytes.
    #[error("the file is empty")]
    Empty,
    /// The first bytes match no known image format.
    #[error("not an image (expected JPEG, PNG or WebP)")]
    UnknownFormat,
    /// The first bytes are those of another kind of file that often has an image's name.
    #[error("not an image, but {0}")]
    NotAnImage(String),
    /// An image of a kind that is not supported.
    #[error("{0} is not supported (convert it to JPEG, PNG or WebP)")]
    Unsupported(String),
    /// The file ends too early.
    #[error("the file is truncated")]
    Truncated,
    /// The content violates the format.
    #[error("the file is damaged: {0}")]
    Corrupt(String),
    /// The header announces more pixels than [`DecodeLimits`](super::DecodeLimits) allows.
    #[error(
        "{width} x {height} pixels exceed the limit of {max_pixels} (a decompression bomb? raise \
         the limit if not)"
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
