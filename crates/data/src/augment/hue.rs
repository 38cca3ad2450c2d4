//! The hue shift, through Pillow's 8-bit HSV.
//!
//! Pillow mixes f32 and f64, which decides the result for some colors. The form here uses f32
//! alone. Its results are the same for all 2^24 colors and all 2^24 triples of hue, saturation and
//! value, as the tests show. It has no branch and no table, so it vectorizes. Numbers are integers
//! unless noted.
//!
//! It runs three loops over a block of pixels: on bytes, on f32, and on bytes again. More bytes
//! than f32 fit into a vector, and with shorter dependency chains the processor overlaps more
//! pixels.

use pulp::Arch;

/// Block size in pixels: intermediates stay in the first-level cache.
const BLOCK: usize = 256;

/// 3 x 2^22. Adding it rounds a number to an integer, in the low bits of the sum. No number here
/// lies halfway between two integers.
const ROUNDING: f32 = 12_582_912.0;

/// Moves the hue of every color by `shift` steps of 1/256 of the circle, wrapping.
pub(super) fn shift_hue(arch: Arch, [red, green, blue]: [&mut [u8]; 3], shift: u8) {
    let shift = f32::from(shift);
    let blocks = red
        .chunks_mut(BLOCK)
        .zip(green.chunks_mut(BLOCK))
        .zip(blue.chunks_mut(BLOCK));
    arch.dispatch(
        #[inline(always)]
        || {
            for ((red, green), blue) in blocks {
                shift_block([red, green, blue], shift);
            }
        },
    );
}

#[inline(always)]
fn shift_block([red, green, blue]: [&mut [u8]; 3], shift: f32) {
    let count = red.len();
    assert!(green.len() == count && blue.len() == count && count <= BLOCK);
    let (mut most, mut range) = ([0; BLOCK], [0; BLOCK]);
    let (mut gap, mut base) = ([0; BLOCK], [0; BLOCK]);
    for i in 0..count {
        let order = Order::of([red[i], green[i], blue[i]]);
        (most[i], range[i]) = (order.most, order.range);
        (gap[i], base[i]) = (order.gap, order.base);
    }
    let (mut sector, mut low, mut middle) = ([0; BLOCK], [0; BLOCK], [0; BLOCK]);
    for i in 0..count {
        let order = Order {
            most: most[i],
            range: range[i],
            gap: gap[i],
            base: base[i],
        };
        let [hue, saturation] = order.hue_and_saturation();
        let hue = hue + shift;
        let hue = if hue >= 256.0 { hue - 256.0 } else { hue };
        let channels = Channels::of(hue, saturation, f32::from(most[i]));
        (sector[i], low[i], middle[i]) = (channels.sector, channels.low, channels.middle);
    }
    for i in 0..count {
        let channels = Channels {
            sector: sector[i],
            low: low[i],
            middle: middle[i],
        };
        [red[i], green[i], blue[i]] = channels.rgb(most[i]);
    }
}

/// A color by the order of its channels, which determines the hue. Of Pillow's three quotients, the
/// greatest channel's is 0 and the least channel's is 1.
struct Order {
    most: u8,
    /// From the least to the greatest channel.
    range: u8,
    /// From the middle to the greatest channel; negative where the hue falls with it.
    gap: i16,
    /// The hue with a gap of 0, in sixths of a turn; -1 for 5.
    base: i8,
}

impl Order {
    #[inline(always)]
    fn of([red, green, blue]: [u8; 3]) -> Self {
        let (more, less) = (red.max(green), red.min(green));
        let most = more.max(blue);
        let least = less.min(blue);
        let gap = most - less.max(more.min(blue));
        let is_red = red == most;
        let is_green = green == most;
        let blue_is_least = blue == least;
        let falls = if is_red {
            blue_is_least
        } else if is_green {
            !blue_is_least
        } else {
            green == least
        };
        let base = if is_red {
            if blue_is_least { 1 } else { -1 }
        } else if is_green {
            if blue_is_least { 1 } else { 3 }
        } else if green == least {
            5
        } else {
            3
        };
        let gap = i16::from(gap);
        Self {
            most,
            range: most - least,
            gap: if falls { -gap } else { gap },
            base,
        }
    }

    /// Each 0 to 255. The hue of a gray is meaningless.
    #[inline(always)]
    fn hue_and_saturation(&self) -> [f32; 2] {
        let range = f32::from(self.range);
        let sector = f32::from(self.base) + f32::from(self.gap) / max(range, 1.0);
        // One sixth in twice the precision, so that the product rounds like the quotient.
        let sixth = sector.mul_add(SIXTH, sector * SIXTH_REST);
        let hue = sixth * 255.0;
        let hue = if hue < 0.0 { hue + 255.0 } else { hue };
        let saturation = range / max(f32::from(self.most), 1.0) * 255.0;
        [hue.floor(), saturation.floor()]
    }
}

/// 1/6 as the sum of two f32.
const SIXTH: f32 = 1.0 / 6.0;
const SIXTH_REST: f32 = (1.0 / 6.0 - SIXTH as f64) as f32;

/// The channels of a color other than the greatest, which is the value.
struct Channels {
    /// 0 to 5: which channel is which.
    sector: u8,
    low: u8,
    middle: u8,
}

impl Channels {
    #[inline(always)]
    fn of(hue: f32, saturation: f32, value: f32) -> Self {
        // 6 hue = 255 sector + part. The halves keep the quotient away from halfway numbers, where
        // it would have to be exact. Hue 255 is the end of the last sector, the same color as the
        // start of the first.
        let sector = hue.mul_add(6.0 / 255.0, 0.5 / 255.0 - 0.5) + ROUNDING;
        let sector = min(sector, ROUNDING + 5.0);
        let part = 6.0 * hue - 255.0 * (sector - ROUNDING);
        let part = if sector.to_bits() & 1 == 0 {
            255.0 - part
        } else {
            part
        };
        // All products are below 2^24 and so exact, and fused multiply-add rounds once.
        let low = value * (255.0 - saturation);
        let middle = value * (65025.0 - saturation * part);
        let rounded = |number: f32| number.to_bits() as u8;
        Self {
            sector: rounded(sector),
            low: rounded(low.mul_add(1.0 / 255.0, ROUNDING)),
            middle: rounded(middle.mul_add(1.0 / 65025.0, ROUNDING)),
        }
    }

    #[inline(always)]
    fn rgb(&self, value: u8) -> [u8; 3] {
        let Self {
            sector,
            low,
            middle,
        } = *self;
        let is = |a: u8, b: u8| (sector == a) | (sector == b);
        let red = if is(2, 3) { low } else { middle };
        let green = if is(4, 5) { low } else { middle };
        let blue = if is(0, 1) { low } else { middle };
        [
            if is(5, 0) { value } else { red },
            if is(1, 2) { value } else { green },
            if is(3, 4) { value } else { blue },
        ]
    }
}

/// `f32::max` without its rule for NaN, which costs an instruction.
#[inline(always)]
fn max(a: f32, b: f32) -> f32 {
    if a > b { a } else { b }
}

#[inline(always)]
fn min(a: f32, b: f32) -> f32 {
    if a < b { a } else { b }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::augment::tests::each_arch;

    /// The scalar reference: Pillow's steps with Pillow's precisions.
    fn reference_to_hsv([red, green, blue]: [u8; 3]) -> [u8; 3] {
        let most = red.max(green).max(blue);
        let least = red.min(green).min(blue);
        if most == least {
            return [0, 0, most];
        }
        let range = f32::from(most - least);
        let saturation = range / f32::from(most);
        let below = |channel: u8| f32::from(most - channel) / range;
        let sector: f32 = if red == most {
            below(blue) - below(green)
        } else if green == most {
            (2.0 + f64::from(below(red)) - f64::from(below(blue))) as f32
        } else {
            (4.0 + f64::from(below(green)) - f64::from(below(red))) as f32
        };
        let hue = ((f64::from(sector) / 6.0 + 1.0) % 1.0) as f32;
        [
            (f64::from(hue) * 255.0) as u8,
            (f64::from(saturation) * 255.0) as u8,
            most,
        ]
    }

    fn reference_to_rgb([hue, saturation, value]: [u8; 3]) -> [u8; 3] {
        if saturation == 0 {
            return [value; 3];
        }
        let position = f64::from(f32::from(hue)) * 6.0 / 255.0;
        let sector = position.floor() as i32;
        let fraction = (position - f64::from(sector)) as f32;
        let saturation = (f64::from(saturation) / 255.0) as f32;
        let scaled = |part: f64| (f64::from(value) * part).round() as u8;
        let low = scaled(1.0 - f64::from(saturation));
        let falling = scaled(1.0 - f64::from(saturation * fraction));
        let rising = scaled(1.0 - f64::from(saturation) * (1.0 - f64::from(fraction)));
        match sector % 6 {
            0 => [value, rising, low],
            1 => [falling, value, low],
            2 => [low, value, rising],
            3 => [low, falling, value],
            4 => [rising, low, value],
            _ => [value, low, falling],
        }
    }

    fn triples() -> impl Iterator<Item = [u8; 3]> {
        (0..1_u32 << 24).map(|code| [code as u8, (code >> 8) as u8, (code >> 16) as u8])
    }

    #[test]
    fn both_conversions_are_the_reference_everywhere() {
        for color in triples() {
            let order = Order::of(color);
            let [hue, saturation] = order.hue_and_saturation();
            let hsv = [hue as u8, saturation as u8, order.most];
            let expected = reference_to_hsv(color);
            // Where there is no saturation, the hue does not matter.
            let skip = usize::from(expected[1] == 0);
            assert_eq!(hsv[skip..], expected[skip..], "{color:?}");

            let [hue, saturation, value] = color.map(f32::from);
            let rgb = Channels::of(hue, saturation, value).rgb(color[2]);
            assert_eq!(
                rgb,
                reference_to_rgb(color),
                "hue, saturation, value {color:?}"
            );
        }
    }

    #[test]
    fn every_instruction_set_shifts_alike() {
        let colors: Vec<[u8; 3]> = triples().step_by(97).collect();
        let plane = |channel: usize| colors.iter().map(|c| c[channel]).collect::<Vec<u8>>();
        for shift in [0, 1, 77, 128, 200, 255] {
            each_arch(|arch| {
                let [mut red, mut green, mut blue] = [0, 1, 2].map(plane);
                shift_hue(arch, [&mut red, &mut green, &mut blue], shift);
                for (i, color) in colors.iter().enumerate() {
                    let [hue, saturation, value] = reference_to_hsv(*color);
                    let expected = reference_to_rgb([hue.wrapping_add(shift), saturation, value]);
                    assert_eq!(
                        [red[i], green[i], blue[i]],
                        expected,
                        "{color:?} by {shift}"
                    );
                }
            });
        }
    }
}
