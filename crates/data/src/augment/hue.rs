//! The hue shift, through Pillow's 8-bit HSV.
//!
//! Pillow mixes f32 and f64, which decides the result for some colours. The form here is one of f32 alone whose results are the
//! same for all 2^24 colours (and all 2^24 triples of hue, saturation and value), as the tests show: it has no branch and no table,
//! so that it vectorises. Numbers are whole unless the text says otherwise.

use pulp::Arch;

/// Moves the hue of every colour by `shift` steps of 1/256 of the circle, wrapping.
pub(super) fn shift_hue(arch: Arch, [red, green, blue]: [&mut [u8]; 3], shift: u8) {
    let shift = f32::from(shift);
    arch.dispatch(
        #[inline(always)]
        || {
            for ((red, green), blue) in red.iter_mut().zip(green).zip(blue) {
                let colour = [f32::from(*red), f32::from(*green), f32::from(*blue)];
                let [hue, saturation, value] = to_hsv(colour);
                let hue = hue + shift;
                let hue = if hue >= 256.0 { hue - 256.0 } else { hue };
                let [r, g, b] = to_rgb(hue, saturation, value);
                (*red, *green, *blue) = (to_u8(r), to_u8(g), to_u8(b));
            }
        },
    );
}

/// Hue, saturation and value, each 0 to 255. The hue of a grey is 0.
#[inline(always)]
fn to_hsv([red, green, blue]: [f32; 3]) -> [f32; 3] {
    let most = max(max(red, green), blue);
    let least = min(min(red, green), blue);
    let middle = red + green + blue - most - least;
    let range = most - least;
    // How far the middle channel is from the greatest: a fraction from 0 to 1. It is all that Pillow's three quotients hold, for
    // that of the greatest channel is 0 and that of the least 1.
    let part = (most - middle) / max(range, 1.0);
    let if_red = if blue == least {
        1.0 - part
    } else {
        part - 1.0
    };
    let if_green = if blue == least {
        1.0 + part
    } else {
        3.0 - part
    };
    let if_blue = if green == least {
        5.0 - part
    } else {
        3.0 + part
    };
    let sector = if green == most { if_green } else { if_blue };
    let sector = if red == most { if_red } else { sector };
    let hue = sector / 6.0 * 255.0;
    let hue = if hue < 0.0 { hue + 255.0 } else { hue };
    let saturation = range / max(most, 1.0) * 255.0;
    [hue.floor(), saturation.floor(), most]
}

#[inline(always)]
fn to_rgb(hue: f32, saturation: f32, value: f32) -> [f32; 3] {
    // 6 hue = 255 sector + part. The half keeps the quotient away from whole numbers, where it would have to be exact.
    let position = 6.0 * hue;
    let sector = ((position + 0.5) * (1.0 / 255.0)).floor();
    let part = position - 255.0 * sector;
    let sector = if sector == 6.0 { 0.0 } else { sector };

    let low = ((value * (255.0 - saturation) + 127.5) * (1.0 / 255.0)).floor();
    // The middle channel, value (65025 - saturation part) / 65025, rounded: the products are below 2^24 and so exact, the
    // quotient may be one too small.
    let half_sector = (sector * 0.5).floor();
    let is_even = half_sector + half_sector == sector;
    let part = if is_even { 255.0 - part } else { part };
    let product = value * (65025.0 - saturation * part) + 32512.0;
    let quotient = (product * (1.0 / 65025.0) - 0.0001).floor();
    let remainder = product - quotient * 65025.0;
    let middle = if remainder >= 65025.0 {
        quotient + 1.0
    } else {
        quotient
    };

    let choose = move |value_from: f32, low_from: f32| {
        let in_two = |from: f32| sector == from || sector == next(from);
        let other = if in_two(low_from) { low } else { middle };
        if in_two(value_from) { value } else { other }
    };
    [choose(5.0, 2.0), choose(1.0, 4.0), choose(3.0, 0.0)]
}

/// The next of the six sectors.
#[inline(always)]
fn next(sector: f32) -> f32 {
    if sector == 5.0 { 0.0 } else { sector + 1.0 }
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

/// A whole number from 0 to 255: the low byte of its sum with 2^23.
#[inline(always)]
fn to_u8(value: f32) -> u8 {
    (value + 8_388_608.0).to_bits() as u8
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
        for colour in triples() {
            let hsv = to_hsv(colour.map(f32::from)).map(to_u8);
            let expected = reference_to_hsv(colour);
            // Where there is no saturation, the hue does not matter.
            let skip = usize::from(expected[1] == 0);
            assert_eq!(hsv[skip..], expected[skip..], "{colour:?}");

            let [hue, saturation, value] = colour.map(f32::from);
            let rgb = to_rgb(hue, saturation, value).map(to_u8);
            assert_eq!(
                rgb,
                reference_to_rgb(colour),
                "hue, saturation, value {colour:?}"
            );
        }
    }

    #[test]
    fn every_instruction_set_shifts_alike() {
        let colours: Vec<[u8; 3]> = triples().step_by(97).collect();
        let plane = |channel: usize| colours.iter().map(|c| c[channel]).collect::<Vec<u8>>();
        for shift in [0, 1, 77, 128, 200, 255] {
            each_arch(|arch| {
                let [mut red, mut green, mut blue] = [0, 1, 2].map(plane);
                shift_hue(arch, [&mut red, &mut green, &mut blue], shift);
                for (i, colour) in colours.iter().enumerate() {
                    let [hue, saturation, value] = reference_to_hsv(*colour);
                    let expected = reference_to_rgb([hue.wrapping_add(shift), saturation, value]);
                    assert_eq!(
                        [red[i], green[i], blue[i]],
                        expected,
                        "{colour:?} by {shift}"
                    );
                }
            });
        }
    }
}
