use burn::tensor::{Device, Distribution, Tensor};
use e2mc_resnet::*;
use std::time::Instant;
fn main() {
    let args: Vec<usize> = std::env::args().skip(1).map(|x| x.parse().unwrap()).collect();
    let (batch, size, rounds) = (args[0], args[1], args[2]);
    let device = Device::flex().autodiff();
    let net = ResNetConfig::resnet50().init(&device);
    let x = Tensor::<4>::random([batch, 3, size, size], Distribution::Normal(0., 1.), &device);
    let mut times = [vec![], vec![]];
    for _ in 0..rounds {
        let start = Instant::now();
        let y = net.forward(x.clone());
        let loss = y.square().mean();
        let _ = loss.clone().into_scalar::<f32>();
        times[0].push(start.elapsed().as_secs_f64() * 1e3);
        let start = Instant::now();
        let g = loss.backward();
        times[1].push(start.elapsed().as_secs_f64() * 1e3);
        drop(g);
    }
    for t in &mut times { t.sort_by(f64::total_cmp); }
    println!("{:?}", times.each_ref().map(|t| t[t.len() / 2].round()));
}
