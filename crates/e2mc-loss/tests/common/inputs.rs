//! The inputs of tests/reference/e2mc_loss.py, bit for bit.

/// The finalizer of SplitMix64.
pub fn mix(x: u64) -> u64 {
    let x = x.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

/// \[n, d\], n at most 512: bell-shaped, distinct in each column, columns correlated. Values are
/// integers below 2^24 in magnitude divided by `2^exponent`, so they are exact in f32.
pub fn embeddings(n: usize, d: usize, exponent: i32, shift: i64, seed: u64) -> Vec<f32> {
    let mut z = Vec::with_capacity(n * d);
    for i in 0..n as u64 {
        for j in 0..d as u64 {
            let key = (seed << 40) + (i << 20);
            let (own, shared) = (mix(key + j), mix(key + (1 << 19) + j % 3));
            let total: u64 =
                [0, 12, 24].iter().map(|s| (own >> s) & 4095).sum::<u64>() + (shared & 4095);
            let column = (j as i64 % 5 - 2) * (1 << 19);
            let numerator = (total * 512 + i) as i64 - (1 << 22) + shift + column;
            z.push(numerator as f32 * 2f32.powi(-exponent));
        }
    }
    z
}

/// Wrapping sum of the bit patterns, each times its 1-based index.
pub fn checksum(z: &[f32]) -> u64 {
    (1u64..)
        .zip(z)
        .map(|(index, x)| u64::from(x.to_bits()).wrapping_mul(index))
        .fold(0, u64::wrapping_add)
}

/// Inner products with the 64 sign vectors: +1 where bit r of `mix(2^60 + index)` is set.
pub fn sketch(gradient: &[f32]) -> [f64; 64] {
    let mut products = [0.0; 64];
    for (index, &g) in (0u64..).zip(gradient) {
        let (signs, g) = (mix((1 << 60) + index), f64::from(g));
        for (r, product) in products.iter_mut().enumerate() {
            *product += if (signs >> r) & 1 == 1 { g } else { -g };
        }
    }
    products
}
