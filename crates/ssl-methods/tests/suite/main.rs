//! SwAV, SGD and LARC against PyTorch. The golden files in tests/reference/swav/ are made by tests/reference/swav.py.

mod bad_input;
mod checkpoint;
mod golden;
mod optimisers;
mod schedule;
mod terms;
mod trajectory;
