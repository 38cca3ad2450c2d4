//! Reading pickles without executing anything.
//!
//! A pickle is a program for a stack machine. [`read`] runs it, but records each call or class only
//! by its name and arguments; objects besides the tensors are skipped. Objects refer to each other
//! by index, so memory is proportional to the pickle, however often it fetches an object from its
//! memo. [`tensors`] bounds the names.

mod machine;
mod read;
mod strides;
mod tensor;
mod value;
mod walk;

use std::io::{BufRead, Read};

use self::machine::Machine;
pub(super) use self::tensor::{Found, TensorAt};
pub(super) use self::value::{Item, Pickle};
pub(super) use self::walk::tensors;

/// Reads one pickle from `reader`, which has `len` bytes left in all.
///
/// # Errors
///
/// The reason, if the pickle is damaged.
pub(super) fn read(reader: &mut impl BufRead, len: u64) -> Result<Pickle, String> {
    // Indices have 32 bits, and an instruction creates at most two objects.
    const MAX_LEN: u64 = 1 << 31;
    let reader = &mut reader.by_ref().take(MAX_LEN);
    let mut machine = Machine::default();
    let mut instructions = 0u64;
    while machine
        .step(reader)
        .map_err(|reason| format!("{reason} after {instructions} instructions"))?
    {
        instructions += 1;
    }
    machine.finish(len)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(pickle: &[u8]) -> Result<Vec<String>, String> {
        let pickle = read(&mut &pickle[..], pickle.len() as u64)?;
        Ok(tensors(&pickle)?
            .into_iter()
            .map(|(name, _)| name)
            .collect())
    }

    /// A call that rebuilds a sparse tensor: the shortest pickle of a tensor.
    const TENSOR: &[u8] = b"ctorch._utils\n_rebuild_sparse_tensor\n)R";

    #[test]
    fn names_stand_in_the_order_of_the_dictionary() {
        let pickle = [b"}(U\x01b", TENSOR, b"U\x01a}U\x01c", TENSOR, b"su."].concat();
        assert_eq!(names(&pickle).unwrap(), ["b", "a.c"]);
    }

    #[test]
    fn keys_of_any_type_are_passed() {
        let pickle = [
            b"}(N",
            TENSOR,
            b"K\x07",
            TENSOR,
            b"\x88",
            TENSOR,
            b"G\x3f\xf8\x00\x00\x00\x00\x00\x00",
            TENSOR,
            b"C\x01b",
            TENSOR,
            b"K\x01K\x02\x86",
            TENSOR,
            b"u.",
        ]
        .concat();
        assert_eq!(
            names(&pickle).unwrap(),
            ["None", "7", "true", "1.5", "?", "?"]
        );
    }

    #[test]
    fn an_object_that_holds_itself_ends() {
        let pickle = [b"}q\x00(U\x01ah\x00U\x01b", TENSOR, b"u."].concat();
        assert_eq!(names(&pickle).unwrap(), ["b"]);
    }

    #[test]
    fn names_that_grow_with_every_level_are_rejected() {
        let mut pickle = [b"]", TENSOR, b"aq\x00"].concat();
        for i in 0..20u8 {
            pickle.extend(b"](");
            pickle.extend([b'h', i].repeat(10));
            pickle.extend([b'e', b'q', i + 1]);
        }
        pickle.push(b'.');
        assert!(
            names(&pickle)
                .unwrap_err()
                .contains("names take too much memory")
        );
    }

    #[test]
    fn deep_pickles_are_passed_over() {
        let deep = [b"]".repeat(100_000), b"a".repeat(99_999), b".".to_vec()].concat();
        assert_eq!(names(&deep).unwrap(), [""; 0]);
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
            assert!(names(pickle).is_err());
        }
    }
}
