//! Amounts of memory on the command line.

/// Units by their names: the binary ones, as GPUs are sold, and the decimal ones.
const UNITS: [(&str, u64); 6] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
];

/// The bytes of an amount such as `24GiB` or `7.5 GB`.
pub(crate) fn bytes(text: &str) -> Result<u64, String> {
    let known = UNITS
        .iter()
        .find_map(|(unit, bytes)| Some((text.strip_suffix(unit)?, *bytes)));
    let number = known.and_then(|(number, unit)| {
        let number: f64 = number.trim().parse().ok()?;
        (number.is_finite() && number > 0.0).then_some(number * unit as f64)
    });
    match number {
        Some(bytes) => Ok(bytes as u64),
        None => Err("expected a size above 0 with a unit, such as 24GiB or 7.5GB".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_units_and_rejects_the_rest() {
        assert_eq!(bytes("24GiB"), Ok(24 << 30));
        assert_eq!(bytes("7.5 GB"), Ok(7_500_000_000));
        for text in [
            "24", "GiB", "-1GiB", "0GB", "infGB", "NaNGB", "24gib", "1PB",
        ] {
            assert!(bytes(text).unwrap_err().contains("24GiB"), "{text}");
        }
    }
}
