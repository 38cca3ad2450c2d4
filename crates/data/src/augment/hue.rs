//! The hue shift, through Pillow's 8-bit HSV. Which steps are f32 and which f64 decides the result for some colours.

/// Moves the hue of one colour by `shift` steps of 1/256 of the circle, wrapping.
pub(super) fn shift_hue([red, green, blue]: [u8; 3], shift: u8) -> [u8; 3] {
    let [hue, saturation, value] = to_hsv(red, green, blue);
    to_rgb(hue.wrapping_add(shift), saturation, value)
}

fn to_hsv(red: u8, green: u8, blue: u8) -> [u8; 3] {
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

fn to_rgb(hue: u8, saturation: u8, value: u8) -> [u8; 3] {
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
