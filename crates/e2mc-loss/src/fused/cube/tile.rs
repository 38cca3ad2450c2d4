use cubecl::ir::HardwareProperties;

/// Bytes of shared memory that an element takes: a key and a row.
const ELEMENT_BYTES: usize = 8;
/// Elements of a cube that holds several columns: 32 KiB, so that several cubes share a processor.
const SHARED_ELEMENTS: usize = 4096;
/// Columns per global read: 32 bytes, the width of a memory transaction.
const MAX_WIDTH: usize = 8;
/// Elements per unit in the largest cubes.
const ELEMENTS_PER_UNIT: usize = 16;
/// Units of most cubes: the number that WebGPU guarantees.
const THREADS: usize = 256;
/// Assumed number of processors if the device does not report it.
const PROCESSORS: u32 = 64;

/// The part that one cube sorts in shared memory. All are powers of two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Tile {
    /// Rows, including the padding of the column.
    pub rows: usize,
    /// Columns.
    pub width: usize,
    /// Units.
    pub threads: usize,
}

impl Tile {
    /// A tile of whole columns, few enough that every processor has work. `None` if not even one
    /// column fits into shared memory.
    pub(super) fn of_columns(n: usize, d: usize, hardware: &HardwareProperties) -> Option<Self> {
        let rows = n.next_power_of_two();
        if rows > max_rows(hardware) {
            return None;
        }
        let processors = hardware.num_streaming_multiprocessors.unwrap_or(PROCESSORS) as usize;
        let mut width = 1;
        while width < MAX_WIDTH
            && 2 * width * rows <= SHARED_ELEMENTS.min(max_rows(hardware))
            && d.div_ceil(2 * width) >= processors
        {
            width *= 2;
        }
        Some(Self::new(rows, width, hardware))
    }

    /// A tile for a part of a column that does not fit.
    pub(super) fn of_part(n: usize, hardware: &HardwareProperties) -> Self {
        let rows = n.next_power_of_two().min(max_rows(hardware));
        Self::new(rows, 1, hardware)
    }

    fn new(rows: usize, width: usize, hardware: &HardwareProperties) -> Self {
        let elements = rows * width;
        let threads = (elements / ELEMENTS_PER_UNIT)
            .max(THREADS)
            .min(max_threads(hardware))
            .min(elements / 2);
        Self {
            rows,
            width,
            threads,
        }
    }
}

/// Units of a cube that has no tile.
pub(super) fn threads(hardware: &HardwareProperties) -> usize {
    THREADS.min(max_threads(hardware))
}

fn max_threads(hardware: &HardwareProperties) -> usize {
    floor_power_of_two(hardware.max_units_per_cube.min(hardware.max_cube_dim.0) as usize)
}

fn max_rows(hardware: &HardwareProperties) -> usize {
    floor_power_of_two(hardware.max_shared_memory_size / ELEMENT_BYTES)
}

fn floor_power_of_two(x: usize) -> usize {
    1 << x.ilog2()
}
