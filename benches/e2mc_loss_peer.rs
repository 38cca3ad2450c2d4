//! One side of benches/peers/e2mc_loss.py and gpu.py, on the device of its argument. Reads lines
//! and answers each with one line:
//!
//! - `times FORM N D SECONDS LEAST`: repeats forward and backward of one view for SECONDS and at
//!   least LEAST times. Answers with the milliseconds of each repetition.
//! - `memory FORM N D`: runs once. Answers with the MiB that this took.

mod common;

use std::io::{BufRead, Write, stdin, stdout};
use std::time::Instant;

use burn::tensor::{Device, Distribution, Tensor};
use common::{device, memory, wait};
use e2mc::loss::{E2mcLoss, E2mcLossConfig, E2mcOutput};

struct Contestant {
    criterion: E2mcLoss,
    forward: fn(&E2mcLoss, &[Tensor<2>]) -> E2mcOutput,
    z: Tensor<2>,
}

impl Contestant {
    fn new(form: &str, n: usize, d: usize, device: &Device) -> Self {
        Self {
            criterion: E2mcLossConfig::swav().init(),
            forward: match form {
                "fused" => E2mcLoss::forward,
                "composed" => E2mcLoss::forward_composed,
                other => panic!("the form is fused or composed, found {other}"),
            },
            z: Tensor::random([n, d], Distribution::Normal(0.0, 1.0), device).require_grad(),
        }
    }

    /// Forward and backward; milliseconds.
    fn run(&self) -> f64 {
        let device = self.z.device();
        wait(&device);
        let start = Instant::now();
        let output = (self.forward)(&self.criterion, std::slice::from_ref(&self.z));
        let gradient = self.z.grad(&output.loss.backward());
        wait(&device);
        let time = start.elapsed().as_secs_f64() * 1e3;
        assert!(gradient.is_some(), "the loss depends on z");
        time
    }
}

fn main() {
    let device = device().autodiff();
    device.seed(0);
    for line in stdin().lock().lines() {
        let line = line.expect("text on standard input");
        let words: Vec<&str> = line.split_whitespace().collect();
        let number = |word: &str| word.parse::<usize>().expect("a number");
        let answer = match words[..] {
            ["times", form, n, d, seconds, least] => {
                let contestant = Contestant::new(form, number(n), number(d), &device);
                let (seconds, least) = (seconds.parse::<f64>().expect("seconds"), number(least));
                let (begin, mut times) = (Instant::now(), Vec::new());
                while times.len() < least || begin.elapsed().as_secs_f64() < seconds {
                    times.push(format!("{:.4}", contestant.run()));
                }
                times.join(" ")
            }
            ["memory", form, n, d] => {
                let contestant = Contestant::new(form, number(n), number(d), &device);
                let run = || {
                    contestant.run();
                };
                memory(&device, run).to_string()
            }
            _ => panic!("expected `times ...` or `memory ...`, found {line:?}"),
        };
        println!("{answer}");
        stdout().flush().expect("standard output");
    }
}
