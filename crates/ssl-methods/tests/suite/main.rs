//! Methods, criteria and optimizers against PyTorch. tests/reference/swav.py and
//! tests/reference/methods.py wrote the golden files in the folders swav and methods beside them.

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
