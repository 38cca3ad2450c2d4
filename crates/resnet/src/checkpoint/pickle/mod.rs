//! A look at a pickle before the reader sees it.
//!
//! The reader of burn-store executes nothing and checks every length against the file, but it copies: an object that
//! is fetched again from the pickle's memo is copied whole, with the shape of each tensor and the name of each class in
//! it, and every tensor is named by all the keys that lead to it. A file of a few hundred kilobytes can ask for
//! terabytes that way. So the pickle's instructions are first followed here, keeping of every object only what it would
//! weigh, and a pickle that weighs too much is refused. On the way the keys are noted in their order, which the reader
//! does not keep and the optimiser's state needs.

mod machine;
mod read;
mod weight;

use std::collections::HashMap;
use std::io::BufRead;

use self::machine::Machine;

/// Instructions in one pickle: about 37 per tensor, so fifty times what VICReg's full checkpoint has. Each is at most about
/// 200 bytes in the reader's memory.
const MAX_INSTRUCTIONS: u64 = 1_000_000;
/// Bytes of all tensor names together.
const MAX_NAMES: u64 = 16 << 20;

/// The strings of a pickle in the order of their first appearance: a dictionary's keys are written in its order.
pub(super) type KeyOrder = HashMap<String, usize>;

/// Follows one pickle from `reader` to its end, noting keys in `order`.
///
/// # Errors
/// A reason in words, if the pickle is damaged or weighs too much.
pub(super) fn follow(reader: &mut impl BufRead, order: &mut KeyOrder) -> Result<(), String> {
    let mut machine = Machine::default();
    for _ in 0..MAX_INSTRUCTIONS {
        if !machine.step(reader, order)? {
            let root = machine.pop()?;
            return match root.names > MAX_NAMES {
                true => Err("its tensor names take too much memory".into()),
                false => Ok(()),
            };
        }
    }
    Err(format!(
        "its pickle has more than {MAX_INSTRUCTIONS} instructions"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weigh(pickle: &[u8]) -> Result<KeyOrder, String> {
        let mut order = KeyOrder::new();
        follow(&mut &pickle[..], &mut order)?;
        Ok(order)
    }

    #[test]
    fn keys_are_noted_in_the_order_of_the_dictionary() {
        // pickle.dumps({"b": 1, "a": {"c": None}}, 2)
        let order = weigh(b"\x80\x02}q\x00(X\x01\x00\x00\x00bq\x01K\x01X\x01\x00\x00\x00aq\x02}q\x03X\x01\x00\x00\x00cq\x04Nsu.").unwrap();
        assert_eq!((order["b"], order["a"], order["c"]), (0, 1, 2));
    }

    #[test]
    fn a_shape_of_many_ones_fetched_many_times_is_refused() {
        let mut pickle = vec![b'('];
        pickle.extend(b"K\x01".repeat(100_000));
        pickle.extend(b"tq\x00");
        pickle.extend(b"h\x000".repeat(1000));
        pickle.extend(b".");
        assert!(weigh(&pickle).unwrap_err().contains("copies too much"));
    }

    #[test]
    fn a_class_with_a_long_name_fetched_many_times_is_refused() {
        let mut pickle = b"c".to_vec();
        pickle.extend(vec![b'n'; 1 << 20]);
        pickle.extend(b"\nn\nq\x00");
        pickle.extend(b"h\x000".repeat(100));
        pickle.extend(b".");
        assert!(weigh(&pickle).unwrap_err().contains("copies too much"));
    }

    #[test]
    fn names_that_grow_with_every_level_are_refused() {
        // 4,000 calls (tensors, for all that is known) in a list, under a key of 10,000 bytes.
        let mut pickle = b"}X\x10\x27\x00\x00".to_vec();
        pickle.extend(vec![b'k'; 10_000]);
        pickle.extend(b"](");
        pickle.extend(b"cn\nn\n)R".repeat(4_000));
        pickle.extend(b"es.");
        assert!(weigh(&pickle).unwrap_err().contains("names"));
    }

    #[test]
    fn deep_and_endless_pickles_are_refused() {
        let deep = [b"]".repeat(1000), b"a".repeat(999), b".".to_vec()].concat();
        assert!(weigh(&deep).unwrap_err().contains("nests deeper"));
        let long = b"N0".repeat(MAX_INSTRUCTIONS as usize);
        assert!(weigh(&long).unwrap_err().contains("instructions"));
    }

    #[test]
    fn lengths_beyond_the_end_take_no_memory() {
        for pickle in [
            &b"X\xff\xff\xff\xffab."[..],
            b"\x8d\xff\xff\xff\xff\xff\xff\xff\xff.",
            b"\x8b\xff\xff\xff\xff.",
            b"cmodule",
            b"\x80",
            b"0.",
            b"t.",
        ] {
            assert!(weigh(pickle).is_err());
        }
    }
}
