//! The CUDA backend on a real GPU. Every test is ignored by default; on a machine with an sm_90 GPU run them with
//! `cargo test -p warpbridge-ffi --test cuda_gpu -- --ignored`, or copy the built test binary there: it needs no other file.

mod faults;
mod gpu;
mod launches;
mod loading;
mod neighbours;
