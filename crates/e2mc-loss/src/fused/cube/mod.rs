//! The fused criterion on CubeCL runtimes.
//!
//! One launch (`columns`) sorts, maps, takes the spacings, and writes the centered Psi(z) and the
//! slope of the entropy term. Columns that exceed shared memory take several launches (`large`).
//! Two of Burn's matrix products compute the covariance and its slope. A last launch (`finish`)
//! multiplies both slopes by Psi'(z). Nothing is read back, so the host never waits. Memory besides
//! the gradient: 2 n d + min(n, d)^2 numbers.
//!
//! Sums are tree sums in f32, since few GPUs have f64. On tensor cores, Burn's products round f32
//! factors to TF32, as in every layer of a network.

// Kernels take their buffers as arguments, and CubeCL has neither iterators nor all numeric
// methods.
#![allow(
    clippy::too_many_arguments,
    clippy::needless_range_loop,
    clippy::manual_is_multiple_of
)]

mod columns;
mod finish;
mod large;
mod math;
mod reduce;
mod sort;
mod space;
mod tile;

use burn::backend::TensorMetadata;
use burn::backend::ops::FloatTensorOps;
use burn::backend::tensor::FloatTensor;
use burn::tensor::{DType, Shape};
use burn_cubecl::CubeBackend;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::kernel::matmul::{MatmulStrategy, matmul};
use burn_cubecl::ops::numeric::empty_device_contiguous_dtype;
use burn_cubecl::tensor::CubeTensor;
use cubecl::ir::HardwareProperties;
use cubecl::{CubeCount, CubeDim, calculate_cube_count_elemwise};

use self::columns::{SpacingsLaunch, whole_columns};
use self::finish::{WeightsLaunch, gradient, sum_of_squares, value};
use self::large::{load_columns, merge_tiles, sorted_columns, step};
use self::tile::{Tile, threads};
use super::{FusedCriterion, ViewCriterion};

/// Products with at least this many multiplications are autotuned.
const TUNED_PRODUCT: usize = 1 << 26;
/// The largest number of cubes that share a sum of squares.
const MAX_PARTS: usize = 1024;
/// The fewest elements that each of their units sums.
const ELEMENTS_PER_UNIT: usize = 8;

impl FusedCriterion for CubeBackend {
    fn e2mc(z: FloatTensor<Self>, view: ViewCriterion) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let (loss, terms, _) = Criterion::new(z, view).evaluate(false);
        (loss, terms)
    }

    fn e2mc_with_gradient(
        z: FloatTensor<Self>,
        view: ViewCriterion,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        Criterion::new(z, view).evaluate(true)
    }

    fn e2mc_scale(gradient: FloatTensor<Self>, factor: FloatTensor<Self>) -> FloatTensor<Self> {
        Self::float_mul(gradient, Self::float_reshape(factor, Shape::new([1, 1])))
    }
}

/// The criterion of one view.
struct Criterion {
    /// \[n, d\], contiguous.
    z: CubeTensor,
    n: usize,
    d: usize,
    view: ViewCriterion,
    hardware: HardwareProperties,
}

/// Results of the pass over the columns.
struct Columns {
    /// Psi(z) minus its column means, \[n, d\].
    compact: CubeTensor,
    /// The derivative of the entropy term with respect to Psi(z), \[n, d\]; empty unless requested.
    slope: CubeTensor,
    /// \[d\].
    entropies: CubeTensor,
    /// Each column's sum of squares of `compact`, \[d\].
    squares: CubeTensor,
}

impl Criterion {
    fn new(z: CubeTensor, view: ViewCriterion) -> Self {
        assert_eq!(z.dtype, DType::F32);
        let [n, d] = z.shape().dims();
        let hardware = z.client.properties().hardware.clone();
        Self {
            z: into_contiguous(z),
            n,
            d,
            view,
            hardware,
        }
    }

    /// Loss, terms, and the gradient if requested (else an empty tensor).
    fn evaluate(self, want_gradient: bool) -> (CubeTensor, CubeTensor, CubeTensor) {
        let columns = self.columns(want_gradient);
        let (compact, transposed) = (
            columns.compact.clone(),
            CubeBackend::float_transpose(columns.compact.clone()),
        );
        // Zbar Zbar^T, or Zbar^T Zbar without its diagonal.
        let matrix = into_contiguous(if self.gram_form() {
            self.matmul(compact.clone(), transposed)
        } else {
            self.matmul(transposed, compact.clone())
        });
        let (loss, terms) = self.value(&columns, &matrix);
        if !want_gradient {
            return (loss, terms, columns.slope);
        }
        let slope = into_contiguous(if self.gram_form() {
            self.matmul(matrix, compact)
        } else {
            self.matmul(compact, matrix)
        });
        (loss, terms, self.gradient(columns, slope))
    }

    /// Whether the n x n form of the covariance is used.
    fn gram_form(&self) -> bool {
        self.d > self.n
    }

    /// 1 / (d (n-1)^2), by which a sum of squares becomes the covariance.
    fn scale(&self) -> f64 {
        1.0 / (self.n - 1) as f64 / (self.n - 1) as f64 / self.d as f64
    }

    fn columns(&self, want_slope: bool) -> Columns {
        let Self { n, d, .. } = *self;
        let columns = Columns {
            compact: self.floats([n, d]),
            slope: if want_slope {
                self.floats([n, d])
            } else {
                self.floats([1, 1])
            },
            entropies: self.floats([d]),
            squares: self.floats([d]),
        };
        let Some(tile) = Tile::of_columns(n, d, &self.hardware) else {
            self.large_columns(&columns, want_slope);
            return columns;
        };
        whole_columns::launch(
            &self.z.client,
            self.cubes(d.div_ceil(tile.width), tile.threads),
            CubeDim::new_1d(tile.threads as u32),
            self.z.clone().into_buffer_arg(),
            columns.compact.clone().into_buffer_arg(),
            columns.slope.clone().into_buffer_arg(),
            columns.entropies.clone().into_buffer_arg(),
            columns.squares.clone().into_buffer_arg(),
            self.spacings(),
            tile,
            self.view.space,
            want_slope,
        );
        columns
    }

    /// The same for columns that do not fit into shared memory.
    fn large_columns(&self, columns: &Columns, want_slope: bool) {
        let Self { n, d, .. } = *self;
        let client = &self.z.client;
        let padded = n.next_power_of_two();
        let tile = Tile::of_part(n, &self.hardware);
        let keys = self.floats([d, padded]);
        let rows = self.empty([d, padded], DType::U32);
        let threads = threads(&self.hardware);
        let dim = CubeDim::new_1d(threads as u32);

        load_columns::launch(
            client,
            calculate_cube_count_elemwise(client, d * padded, dim),
            dim,
            self.z.clone().into_buffer_arg(),
            keys.clone().into_buffer_arg(),
            rows.clone().into_buffer_arg(),
            n as u32,
            d as u32,
            padded as u32,
        );
        let merge = |first_size: usize, last_size: usize| {
            merge_tiles::launch(
                client,
                self.cubes(d * padded / tile.rows, tile.threads),
                CubeDim::new_1d(tile.threads as u32),
                keys.clone().into_buffer_arg(),
                rows.clone().into_buffer_arg(),
                first_size as u32,
                last_size as u32,
                padded as u32,
                tile,
            );
        };
        merge(2, tile.rows);
        let mut size = 2 * tile.rows;
        while size <= padded {
            let mut distance = size / 2;
            while distance >= tile.rows {
                step::launch(
                    client,
                    calculate_cube_count_elemwise(client, d * padded / 2, dim),
                    dim,
                    keys.clone().into_buffer_arg(),
                    rows.clone().into_buffer_arg(),
                    size as u32,
                    distance as u32,
                    padded as u32,
                );
                distance /= 2;
            }
            merge(size, size);
            size *= 2;
        }
        sorted_columns::launch(
            client,
            self.cubes(d, tile.threads),
            CubeDim::new_1d(tile.threads as u32),
            self.z.clone().into_buffer_arg(),
            keys.into_buffer_arg(),
            rows.into_buffer_arg(),
            columns.compact.clone().into_buffer_arg(),
            columns.slope.clone().into_buffer_arg(),
            columns.entropies.clone().into_buffer_arg(),
            columns.squares.clone().into_buffer_arg(),
            self.spacings(),
            padded as u32,
            tile.threads,
            self.view.space,
            want_slope,
        );
    }

    fn spacings(&self) -> SpacingsLaunch {
        let Self { n, d, view, .. } = *self;
        let m = view.spacing;
        let scale = (n + 1) as f64 / m as f64;
        // Negative: the loss subtracts the entropy, which is the mean of the logarithms.
        let slope_factor = -f64::from(view.entropy_weight) / d as f64 / (n - m) as f64 * scale;
        SpacingsLaunch::new(
            n as u32,
            d as u32,
            m as u32,
            scale as f32,
            view.epsilon,
            slope_factor as f32,
        )
    }

    /// Loss and terms. In the d x d form, sets the diagonal of `matrix` to 0.
    fn value(&self, columns: &Columns, matrix: &CubeTensor) -> (CubeTensor, CubeTensor) {
        let client = &self.z.client;
        let threads = threads(&self.hardware);
        let dim = CubeDim::new_1d(threads as u32);
        let size = self.n.min(self.d);
        let parts = (size * size)
            .div_ceil(threads * ELEMENTS_PER_UNIT)
            .min(MAX_PARTS);
        let partial = self.floats([parts]);
        sum_of_squares::launch(
            client,
            self.cubes(parts, threads),
            dim,
            matrix.clone().into_buffer_arg(),
            partial.clone().into_buffer_arg(),
            size as u32,
            !self.gram_form(),
            threads,
        );
        let (loss, terms) = (self.floats([1]), self.floats([2]));
        value::launch(
            client,
            CubeCount::Static(1, 1, 1),
            dim,
            columns.entropies.clone().into_buffer_arg(),
            columns.squares.clone().into_buffer_arg(),
            partial.into_buffer_arg(),
            loss.clone().into_buffer_arg(),
            terms.clone().into_buffer_arg(),
            WeightsLaunch::new(
                self.view.entropy_weight,
                self.view.covariance_weight,
                self.scale() as f32,
            ),
            self.gram_form(),
            threads,
        );
        (loss, terms)
    }

    fn gradient(&self, columns: Columns, slope: CubeTensor) -> CubeTensor {
        let client = &self.z.client;
        let dim = CubeDim::new_1d(threads(&self.hardware) as u32);
        let factor = 4.0 * f64::from(self.view.covariance_weight) * self.scale();
        gradient::launch(
            client,
            calculate_cube_count_elemwise(client, self.n * self.d, dim),
            dim,
            self.z.clone().into_buffer_arg(),
            columns.compact.into_buffer_arg(),
            columns.squares.into_buffer_arg(),
            slope.into_buffer_arg(),
            columns.slope.clone().into_buffer_arg(),
            factor as f32,
            self.gram_form(),
            self.view.space,
        );
        columns.slope
    }

    /// Burn's matrix product. Small products are not autotuned: trying all kernels would stall the
    /// first product of each size.
    fn matmul(&self, left: CubeTensor, right: CubeTensor) -> CubeTensor {
        let strategy = if self.n * self.d * self.n.min(self.d) > TUNED_PRODUCT {
            MatmulStrategy::default()
        } else {
            MatmulStrategy::Cube
        };
        matmul(left, right, None, strategy, DType::F32).expect("a product of f32 matrices")
    }

    /// A grid of at least this many cubes, within the device's limits on each side of it.
    fn cubes(&self, count: usize, threads: usize) -> CubeCount {
        let dim = CubeDim::new_1d(threads as u32);
        calculate_cube_count_elemwise(&self.z.client, count * threads, dim)
    }

    fn floats<const D: usize>(&self, shape: [usize; D]) -> CubeTensor {
        self.empty(shape, DType::F32)
    }

    fn empty<const D: usize>(&self, shape: [usize; D], dtype: DType) -> CubeTensor {
        empty_device_contiguous_dtype(
            self.z.client.clone(),
            self.z.device.clone(),
            Shape::new(shape),
            dtype,
        )
    }
}
