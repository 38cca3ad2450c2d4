//! Methods, criteria and optimizers against PyTorch. The golden files in tests/reference/swav/ and
//! tests/reference/methods/ are made by tests/reference/swav.py and tests/reference/methods.py.

mod accumulate;
mod bad_input;
mod checkpoint;
mod combinations;
mod full_size;
mod golden;
mod losses;
mod methods;
mod mixed_precision;
mod optimizers;
mod replicas;
mod schedule;
mod small;
mod terms;
mod trajectory;
