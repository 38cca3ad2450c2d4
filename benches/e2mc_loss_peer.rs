//! One side of benches/peers/e2mc_loss.py: reads lines `form n d seconds least`, repeats forward and
//! backward of one view for that time and at least so often, and answers with each one's milliseconds.

use std::io::{BufRead, Write, stdin, stdout};
use std::time::Instant;

use burn::tensor::{Device, Distribution, Tensor};
use e2mc::loss::{E2mcLoss, E2mcLossConfig, E2mcOutput};

fn main() {
    let device = Device::flex().autodiff();
    device.seed(0);
    let criterion = E2mcLossConfig::swav().init();
    for line in stdin().lock().lines() {
        let line = line.expect("text on standard input");
        let words: Vec<&str> = line.split_whitespace().collect();
        let [form, n, d, seconds, least] = words[..] else {
            panic!("expected `form n d seconds least`, found {line:?}");
        };
        let number = |word: &str| word.parse::<usize>().expect("a number");
        let forward: fn(&E2mcLoss, &[Tensor<2>]) -> E2mcOutput = match form {
            "fused" => E2mcLoss::forward,
            "composed" => E2mcLoss::forward_composed,
            other => panic!("the form is fused or composed, found {other}"),
        };
        let shape = [number(n), number(d)];
        let z = Tensor::<2>::random(shape, Distribution::Normal(0.0, 1.0), &device).require_grad();
        let seconds: f64 = seconds.parse().expect("seconds");
        let (begin, mut times) = (Instant::now(), Vec::new());
        while times.len() < number(least) || begin.elapsed().as_secs_f64() < seconds {
            let start = Instant::now();
            let output = forward(&criterion, std::slice::from_ref(&z));
            let gradient = z.grad(&output.loss.backward());
            let time = start.elapsed().as_secs_f64() * 1e3;
            assert!(gradient.is_some(), "the loss depends on z");
            times.push(format!("{time:.4}"));
        }
        println!("{}", times.join(" "));
        stdout().flush().expect("standard output");
    }
}
