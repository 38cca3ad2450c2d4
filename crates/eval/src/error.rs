use thiserror::Error;

/// A result whose error is [`EvalError`], unless another one is named.
pub type Result<T, E = EvalError> = std::result::Result<T, E>;

/// An error in the data or options given to an evaluation.
///
/// Each message is one line. It names the cause and the remedy.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum EvalError {
    /// A set without images, or a comparison without pairs.
    #[error("{what}: there are none, at least one is needed")]
    Empty {
        /// The name of the set.
        what: &'static str,
    },

    /// A value buffer whose length does not match the number of labels.
    #[error(
        "{values} feature values do not fill {rows} rows of {dims} dimensions: one row per label \
        is needed"
    )]
    RowCount {
        /// Length of the value buffer.
        values: usize,
        /// Number of labels.
        rows: usize,
        /// Values per row.
        dims: usize,
    },

    /// A label outside the range of the classes.
    #[error(
        "the label of image {row} is {label}, but there are {classes} classes: labels run from 0 \
        to the number of classes minus one"
    )]
    LabelOutOfRange {
        /// Row of the image.
        row: usize,
        /// Its label.
        label: u32,
        /// Number of classes.
        classes: usize,
    },

    /// NaN or infinity among the features.
    #[error(
        "feature {column} of image {row} is {value}: the backbone or its input is broken, check \
        the checkpoint and the normalization"
    )]
    NonFinite {
        /// Row of the image.
        row: usize,
        /// Feature dimension.
        column: usize,
        /// The value found.
        value: f32,
    },

    /// Images whose channels do not match the backbone.
    #[error(
        "the backbone takes {backbone}-channel images, but these are {images}-channel images: \
        choose a checkpoint or data that match"
    )]
    ChannelMismatch {
        /// Channels that the first convolution takes.
        backbone: usize,
        /// Channels of the images.
        images: usize,
    },

    /// Images whose last feature map is too small to be averaged over windows.
    #[error(
        "the last feature map of images of {} x {} pixels has {} x {} values: a map probe needs \
        {window} x {window}, take larger crops",
        image[0], image[1], map[0], map[1]
    )]
    SmallMap {
        /// Height and width of the images.
        image: [usize; 2],
        /// Height and width of the map.
        map: [usize; 2],
        /// The side that is needed.
        window: usize,
    },

    /// A class without a labeled training image.
    #[error(
        "class {class} of {classes} has test images but no labeled training image: take a larger \
        or a class-balanced labeled part, at least one image per class"
    )]
    MissingClass {
        /// The first class without an image.
        class: usize,
        /// Number of classes.
        classes: usize,
    },

    /// Training and test features of different width.
    #[error(
        "training features have {train} dimensions and test features {test}: extract both with the \
        same backbone"
    )]
    DimensionMismatch {
        /// Dimensions of the training features.
        train: usize,
        /// Dimensions of the test features.
        test: usize,
    },

    /// Training and test sets with different numbers of classes.
    #[error(
        "the training set has {train} classes and the test set {test}: both must have the same \
        classes"
    )]
    ClassMismatch {
        /// Classes of the training set.
        train: usize,
        /// Classes of the test set.
        test: usize,
    },

    /// Two models tested on different numbers of images.
    #[error(
        "the first model was tested on {first} images and the second on {second}: a paired \
        comparison needs the same images in the same order"
    )]
    Unpaired {
        /// Images of the first model.
        first: usize,
        /// Images of the second model.
        second: usize,
    },

    /// An option is out of range.
    #[error("{option} is {value}, expected {expected}")]
    InvalidOption {
        /// The option's name.
        option: &'static str,
        /// Its value.
        value: String,
        /// The allowed values.
        expected: &'static str,
    },

    /// A file that could not be written.
    #[error("cannot write {path}: {reason}; check that its folder exists and has space")]
    Write {
        /// The file.
        path: String,
        /// The operating system's reason.
        reason: String,
    },

    /// A file of features that could not be opened or read.
    #[error("cannot read {path}: {reason}")]
    Read {
        /// The file.
        path: String,
        /// The operating system's reason.
        reason: String,
    },

    /// A file of features that is truncated or damaged, or another kind of file.
    #[error(
        "{path} is not a complete file of features: {problem}; delete it and extract the features \
        again"
    )]
    DamagedFile {
        /// The file.
        path: String,
        /// What is wrong with it.
        problem: String,
    },

    /// Features of images without labels, where labels are needed.
    #[error("{path} holds no labels: extract the features of labeled images")]
    NoLabels {
        /// The file.
        path: String,
    },

    /// Text that is not an amount of labels.
    #[error(
        "`{text}` is not an amount of labels: expected a percentage such as 1% (up to 4 decimals, \
        above 0% and at most 100%) or images per class such as 5/class"
    )]
    LabelAmount {
        /// The text.
        text: String,
    },

    /// Labels and features of different numbers of images.
    #[error(
        "there are features of {images} images and labels of {labels}: one row of labels per image \
        is needed"
    )]
    LabelCount {
        /// Images with features.
        images: usize,
        /// Images with labels.
        labels: usize,
    },

    /// Predictions or features that belong to different images.
    #[error(
        "not the same images in the same order: {problem}; compare results over one set of images"
    )]
    OtherImages {
        /// The first difference.
        problem: String,
    },

    /// A class with too few positive or too few negative training images.
    #[error(
        "{found} training images {kind} class {class}, but at least {needed} are needed, one per \
        fold: take more labeled images, or lower folds"
    )]
    ClassTooSmall {
        /// The class.
        class: usize,
        /// Images found.
        found: usize,
        /// "show" or "do not show".
        kind: &'static str,
        /// Images needed.
        needed: usize,
    },

    /// An SVM that did not converge because of rounding.
    #[error(
        "the SVM of class {class} did not converge at cost {cost}: set normalize, or leave out the \
        largest costs"
    )]
    NotConverged {
        /// The class.
        class: usize,
        /// The value of C.
        cost: f64,
    },

    /// The probe's training loss became NaN or infinite.
    #[error(
        "the probe's training loss is no longer finite after epoch {epoch}: lower learning_rate \
        (now {learning_rate}) or set standardize"
    )]
    Diverged {
        /// The epoch, counted from 1.
        epoch: usize,
        /// The learning rate at the start.
        learning_rate: f64,
    },
}
