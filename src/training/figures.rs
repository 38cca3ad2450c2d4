use burn::tensor::Tensor;

/// Named scalars of a step, read from the device together, since each read waits for the device.
#[derive(Default)]
pub(super) struct Figures {
    names: Vec<String>,
    values: Vec<Tensor<1>>,
}

impl Figures {
    /// Adds a scalar, `[1]`.
    pub(super) fn push(&mut self, name: impl Into<String>, value: Tensor<1>) {
        self.names.push(name.into());
        self.values.push(value.without_autodiff());
    }

    /// Reads all scalars, in the order of their addition.
    pub(super) fn read(self) -> Vec<(String, f64)> {
        let values = Tensor::cat(self.values, 0).into_data();
        self.names.into_iter().zip(values.iter::<f64>()).collect()
    }
}
