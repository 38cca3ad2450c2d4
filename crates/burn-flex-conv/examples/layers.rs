use burn_flex_conv::kernels::*;
use std::time::Instant;
fn main() {
    let arch = Arch::new();
    let batch: usize = std::env::args().nth(1).map_or(8, |x| x.parse().unwrap());
    let cases = [
        (3, 64, 224, 7, 2),
        (64, 64, 56, 1, 1),
        (64, 64, 56, 3, 1),
        (64, 256, 56, 1, 1),
        (256, 64, 56, 1, 1),
        (256, 128, 56, 1, 1),
        (128, 128, 56, 3, 2),
        (128, 128, 28, 3, 1),
        (128, 512, 28, 1, 1),
        (512, 128, 28, 1, 1),
        (256, 512, 56, 1, 2),
        (256, 256, 28, 3, 2),
        (256, 256, 14, 3, 1),
        (256, 1024, 14, 1, 1),
        (1024, 256, 14, 1, 1),
        (512, 512, 14, 3, 2),
        (512, 512, 7, 3, 1),
        (512, 2048, 7, 1, 1),
        (2048, 512, 7, 1, 1),
    ];
    for (ci, co, size, k, s) in cases {
        let shape = ConvShape {
            batch,
            channels_in: ci,
            channels_out: co,
            input: [size; 2],
            kernel: [k; 2],
            stride: [s; 2],
            padding: [k / 2; 2],
            dilation: [1; 2],
        };
        let random = |n: usize| {
            (0..n)
                .map(|i| ((i * 7919 % 1000) as f32 - 500.) / 500.)
                .collect::<Vec<f32>>()
        };
        let (x, w, dy) = (
            random(shape.input_len()),
            random(shape.weight_len()),
            random(shape.output_len()),
        );
        let flops = 2.0 * shape.output_len() as f64 * (ci * k * k) as f64;
        let time = |f: &dyn Fn() -> Vec<f32>| {
            let mut t: Vec<f64> = (0..7)
                .map(|_| {
                    let s = Instant::now();
                    std::hint::black_box(f());
                    s.elapsed().as_secs_f64()
                })
                .collect();
            t.sort_by(f64::total_cmp);
            t[2]
        };
        let f = time(&|| conv2d(arch, &x, &w, &shape, None));
        let i = time(&|| conv2d_input_gradient(arch, &dy, &w, &shape));
        let g = time(&|| conv2d_weight_gradient(arch, &x, &dy, &shape));
        println!(
            "{ci:5}{co:5}{size:4}{k:2}{s:2}  fwd {:7.2} ms {:6.0} GF/s  dx {:7.2} {:6.0}  dw {:7.2} {:6.0}",
            f * 1e3,
            flops / f / 1e9,
            i * 1e3,
            flops / i / 1e9,
            g * 1e3,
            flops / g / 1e9
        );
    }

    for (c, size) in [
        (64, 112),
        (256, 56),
        (64, 56),
        (512, 28),
        (2048, 7),
        (16, 28),
    ] {
        let n = batch * size * size * c;
        let x: Vec<f32> = (0..n)
            .map(|i| ((i * 7919 % 1000) as f32 - 500.) / 500.)
            .collect();
        let one = vec![1.0f32; c];
        let time = |f: &dyn Fn() -> Vec<f32>| {
            let mut t: Vec<f64> = (0..7)
                .map(|_| {
                    let s = Instant::now();
                    std::hint::black_box(f());
                    s.elapsed().as_secs_f64()
                })
                .collect();
            t.sort_by(f64::total_cmp);
            t[2] * 1e3
        };
        let affine = Affine {
            mean: vec![0.1; c],
            scale: one.clone(),
            shift: vec![0.2; c],
        };
        let gb = n as f64 * 4e-9;
        let s = time(&|| statistics(arch, &x, c).mean);
        let f = time(&|| normalise(arch, &x, &affine, None, true));
        let r = time(&|| normalise(arch, &x, &affine, Some(&x), true));
        let b = time(&|| {
            normalise_backward(
                arch,
                &x,
                Forward {
                    x: &x,
                    affine: &affine,
                    inverse_deviation: &one,
                    relu: true,
                    output: None,
                },
            )
            .x
        });
        let br = time(&|| {
            normalise_backward(
                arch,
                &x,
                Forward {
                    x: &x,
                    affine: &affine,
                    inverse_deviation: &one,
                    relu: true,
                    output: Some(&x),
                },
            )
            .x
        });
        println!(
            "{c:5}{size:4} stats {s:6.2} ms ({:.1} GB/s) normalise {f:6.2} ({:.1}) residual {r:6.2} backward {b:6.2} ({:.1}) with residual {br:6.2}",
            gb / s * 1e3,
            2. * gb / f * 1e3,
            5. * gb / b * 1e3
        );
    }
}
