//! A look at a pickle before the reader sees it.
//!
//! The reader of burn-store executes nothing and checks every length against the file, but it copies: an object that
//! is fetched again from the pickle's memo is copied whole, with the shape of each tensor and the name of each class in
//! it, and every tensor is named by all the keys that lead to it. A file of a few hundred kilobytes can ask for
//! terabytes that way. So the pickle's instructions are first followed here, keeping of every object only what it would
//! weigh, and a pickle that weighs too much is refused. On the way the keys are noted in their order, which the reader
//! does not keep and the optimiser's state needs.

use std::collections::HashMap;
use std::io::{self, BufRead, Read};

/// Instructions in one pickle: about 37 per tensor, so fifty times what VICReg's full checkpoint has. Each is at most about
/// 200 bytes in the reader's memory.
const MAX_INSTRUCTIONS: u64 = 1_000_000;
/// Values that may be copied through the memo in one pickle.
const MAX_COPIES: u64 = 2_000_000;
/// Bytes of all tensor names together.
const MAX_NAMES: u64 = 16 << 20;
/// Dictionaries, lists and calls within each other.
const MAX_DEPTH: u32 = 200;
/// Keys whose order is noted, and their length.
const MAX_KEYS: usize = 1 << 16;
const MAX_KEY_LEN: u64 = 256;

/// The strings of a pickle in the order of their first appearance: a dictionary's keys are written in its order.
pub(super) type KeyOrder = HashMap<String, usize>;

/// What an object would weigh in the reader's memory.
#[derive(Clone, Copy, Default)]
struct Weight {
    /// Values in it; sixteen bytes of text count as one.
    values: u64,
    depth: u32,
    tensors: u64,
    /// Bytes of the names that its tensors have from here on.
    names: u64,
    /// Bytes of the object as a dictionary's key.
    key: u64,
    /// Where it is memoised.
    memo: Option<u32>,
}

impl Weight {
    fn scalar() -> Self {
        Self {
            values: 1,
            key: 20,
            ..Self::default()
        }
    }

    fn text(len: u64) -> Self {
        Self {
            values: 1 + len / 16,
            key: len,
            ..Self::default()
        }
    }

    fn add(&mut self, part: Self) {
        self.values = self.values.saturating_add(part.values);
        self.depth = self.depth.max(part.depth.saturating_add(1));
        self.tensors = self.tensors.saturating_add(part.tensors);
        self.names = self.names.saturating_add(part.names);
    }

    /// Puts `part` under a key of `key` bytes.
    fn add_under(&mut self, key: u64, part: Self) {
        self.add(part);
        self.names = self
            .names
            .saturating_add(part.tensors.saturating_mul(key.saturating_add(1)));
    }

    fn sequence(items: &[Self]) -> Self {
        let mut whole = Self::scalar();
        for &item in items {
            // The key is the index.
            whole.add_under(8, item);
        }
        whole
    }
}

/// Follows one pickle from `reader` to its end, noting keys in `order`.
///
/// # Errors
/// A reason in words, if the pickle is damaged or weighs too much.
pub(super) fn follow(reader: &mut impl BufRead, order: &mut KeyOrder) -> Result<(), String> {
    let mut machine = Machine::default();
    loop {
        machine.instructions += 1;
        if machine.instructions > MAX_INSTRUCTIONS {
            return Err(format!(
                "its pickle has more than {MAX_INSTRUCTIONS} instructions"
            ));
        }
        if !machine.step(reader, order)? {
            let root = machine.pop()?;
            return match root.names > MAX_NAMES {
                true => Err("its tensor names take too much memory".into()),
                false => Ok(()),
            };
        }
    }
}

#[derive(Default)]
struct Machine {
    stack: Vec<Weight>,
    marks: Vec<usize>,
    memo: HashMap<u32, Weight>,
    instructions: u64,
    copies: u64,
}

impl Machine {
    /// Executes one instruction; false at the end of the pickle.
    fn step(&mut self, r: &mut impl BufRead, order: &mut KeyOrder) -> Result<bool, String> {
        match byte(r)? {
            b'.' => return Ok(false),
            // Protocol and frame.
            0x80 => skip(r, 1)?,
            0x95 => skip(r, 8)?,
            // None, true, false, and numbers.
            b'N' | 0x88 | 0x89 => self.push(Weight::scalar())?,
            b'K' => self.push_skipping(r, 1)?,
            b'M' => self.push_skipping(r, 2)?,
            b'J' => self.push_skipping(r, 4)?,
            b'G' => self.push_skipping(r, 8)?,
            b'I' | b'L' | b'F' => {
                skip_line(r)?;
                self.push(Weight::scalar())?;
            }
            0x8a => {
                let len = number(r, 1)?;
                self.push_skipping(r, len)?;
            }
            0x8b => {
                let len = number(r, 4)?;
                self.push_skipping(r, len)?;
            }
            // Text, which may be a key.
            0x8c | b'U' => self.text(r, 1, order)?,
            b'X' | b'T' => self.text(r, 4, order)?,
            0x8d => self.text(r, 8, order)?,
            b'V' => {
                let len = skip_line(r)?;
                self.push(Weight::text(len))?;
            }
            // Bytes.
            b'C' => self.bytes(r, 1)?,
            b'B' => self.bytes(r, 4)?,
            0x8e | 0x96 => self.bytes(r, 8)?,
            // Containers.
            b'(' => self.marks.push(self.stack.len()),
            b')' | b']' | b'}' | 0x8f => self.push(Weight::scalar())?,
            b't' | b'l' | 0x91 => {
                let items = self.pop_to_mark()?;
                self.push(Weight::sequence(&items))?;
            }
            0x85 => self.tuple(1)?,
            0x86 => self.tuple(2)?,
            0x87 => self.tuple(3)?,
            b'a' => {
                let item = self.pop()?;
                self.extend(&[item])?;
            }
            b'e' | 0x90 => {
                let items = self.pop_to_mark()?;
                self.extend(&items)?;
            }
            b'd' => {
                let items = self.pop_to_mark()?;
                self.push(Weight::scalar())?;
                self.set_items(&items)?;
            }
            b's' => {
                let value = self.pop()?;
                let key = self.pop()?;
                self.set_items(&[key, value])?;
            }
            b'u' => {
                let items = self.pop_to_mark()?;
                self.set_items(&items)?;
            }
            // The stack.
            b'0' => match self.mark_on_top() {
                true => drop(self.marks.pop()),
                false => drop(self.pop()?),
            },
            b'1' => drop(self.pop_to_mark()?),
            b'2' => {
                let top = *self.top()?;
                self.copy(top)?;
                self.push(top)?;
            }
            // The memo.
            b'g' => {
                let index = line_number(r)?;
                self.fetch(index)?;
            }
            b'h' => {
                let index = number(r, 1)? as u32;
                self.fetch(index)?;
            }
            b'j' => {
                let index = number(r, 4)? as u32;
                self.fetch(index)?;
            }
            b'p' => {
                let index = line_number(r)?;
                self.memoise(index)?;
            }
            b'q' => {
                let index = number(r, 1)? as u32;
                self.memoise(index)?;
            }
            b'r' => {
                let index = number(r, 4)? as u32;
                self.memoise(index)?;
            }
            0x94 => self.memoise(self.memo.len() as u32)?,
            // Classes and calls.
            b'c' => {
                let len = skip_line(r)?.saturating_add(skip_line(r)?);
                self.push(Weight::text(len))?;
            }
            0x93 => self.call(2)?,
            b'P' => {
                let len = skip_line(r)?;
                self.push(Weight::text(len))?;
            }
            b'Q' => self.call(1)?,
            b'R' | 0x81 => self.call(2)?,
            0x92 => self.call(3)?,
            b'b' => {
                let state = self.pop()?;
                let mut built = self.pop()?;
                let memo = built.memo;
                built.add(state);
                if let Some(index) = memo {
                    self.copy(built)?;
                    self.memo.insert(index, built);
                }
                self.push(built)?;
            }
            other => {
                return Err(format!(
                    "its pickle has an unknown instruction {other:#04x}"
                ));
            }
        }
        Ok(true)
    }

    fn push(&mut self, weight: Weight) -> Result<(), String> {
        if weight.depth > MAX_DEPTH {
            return Err(format!("its pickle nests deeper than {MAX_DEPTH} levels"));
        }
        self.stack.push(weight);
        Ok(())
    }

    fn push_skipping(&mut self, r: &mut impl BufRead, len: u64) -> Result<(), String> {
        skip(r, len)?;
        self.push(Weight::scalar())
    }

    fn text(
        &mut self,
        r: &mut impl BufRead,
        len_bytes: usize,
        order: &mut KeyOrder,
    ) -> Result<(), String> {
        let len = number(r, len_bytes)?;
        if len <= MAX_KEY_LEN && order.len() < MAX_KEYS {
            let mut text = vec![0; len as usize];
            r.read_exact(&mut text).map_err(broken_off)?;
            if let Ok(text) = String::from_utf8(text) {
                let next = order.len();
                order.entry(text).or_insert(next);
            }
        } else {
            skip(r, len)?;
        }
        self.push(Weight::text(len))
    }

    fn bytes(&mut self, r: &mut impl BufRead, len_bytes: usize) -> Result<(), String> {
        let len = number(r, len_bytes)?;
        skip(r, len)?;
        self.push(Weight::text(len))
    }

    fn mark_on_top(&self) -> bool {
        self.marks.last() == Some(&self.stack.len())
    }

    fn top(&mut self) -> Result<&mut Weight, String> {
        match self.mark_on_top() {
            true => Err(underflow()),
            false => self.stack.last_mut().ok_or_else(underflow),
        }
    }

    fn pop(&mut self) -> Result<Weight, String> {
        let top = *self.top()?;
        self.stack.pop();
        Ok(top)
    }

    fn pop_to_mark(&mut self) -> Result<Vec<Weight>, String> {
        let mark = self.marks.pop().ok_or_else(underflow)?;
        Ok(self.stack.split_off(mark))
    }

    fn tuple(&mut self, len: usize) -> Result<(), String> {
        let mut items = Vec::with_capacity(len);
        for _ in 0..len {
            items.push(self.pop()?);
        }
        self.push(Weight::sequence(&items))
    }

    /// A call takes `operands` from the stack and leaves one object, which may be a tensor and may keep all it was given.
    fn call(&mut self, operands: usize) -> Result<(), String> {
        let mut result = Weight::scalar();
        for _ in 0..operands {
            result.add(self.pop()?);
        }
        result.tensors = result.tensors.max(1);
        self.push(result)
    }

    fn extend(&mut self, items: &[Weight]) -> Result<(), String> {
        let mut list = self.pop()?;
        list.add(Weight::sequence(items));
        self.push(list)
    }

    fn set_items(&mut self, items: &[Weight]) -> Result<(), String> {
        let mut dictionary = self.pop()?;
        for pair in items.chunks(2) {
            dictionary.values = dictionary.values.saturating_add(pair[0].values);
            if let Some(&value) = pair.get(1) {
                dictionary.add_under(pair[0].key, value);
            }
        }
        self.push(dictionary)
    }

    fn copy(&mut self, weight: Weight) -> Result<(), String> {
        self.copies = self.copies.saturating_add(weight.values);
        match self.copies > MAX_COPIES {
            true => Err("its pickle copies too much through its memo".into()),
            false => Ok(()),
        }
    }

    fn fetch(&mut self, index: u32) -> Result<(), String> {
        let weight = *self
            .memo
            .get(&index)
            .ok_or_else(|| format!("its pickle refers to an unknown object {index}"))?;
        self.copy(weight)?;
        self.push(weight)
    }

    fn memoise(&mut self, index: u32) -> Result<(), String> {
        let top = self.top()?;
        top.memo = Some(index);
        let weight = *top;
        self.copy(weight)?;
        self.memo.insert(index, weight);
        Ok(())
    }
}

fn underflow() -> String {
    "its pickle takes more from its stack than is there".into()
}

fn broken_off(error: io::Error) -> String {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => "its pickle breaks off".into(),
        _ => error.to_string(),
    }
}

fn byte(r: &mut impl BufRead) -> Result<u8, String> {
    let mut byte = [0];
    r.read_exact(&mut byte).map_err(broken_off)?;
    Ok(byte[0])
}

/// A little-endian number of 1 to 8 bytes.
fn number(r: &mut impl BufRead, len: usize) -> Result<u64, String> {
    let mut bytes = [0; 8];
    r.read_exact(&mut bytes[..len]).map_err(broken_off)?;
    Ok(u64::from_le_bytes(bytes))
}

fn line_number(r: &mut impl BufRead) -> Result<u32, String> {
    let mut line = String::new();
    r.by_ref()
        .take(16)
        .read_line(&mut line)
        .map_err(broken_off)?;
    line.trim_end()
        .parse()
        .map_err(|_| "its pickle has a memo index that is no number".into())
}

fn skip(r: &mut impl BufRead, mut len: u64) -> Result<(), String> {
    while len > 0 {
        let available = r.fill_buf().map_err(broken_off)?.len();
        if available == 0 {
            return Err("its pickle breaks off".into());
        }
        let step = (available as u64).min(len);
        r.consume(step as usize);
        len -= step;
    }
    Ok(())
}

/// Skips to after the next line end; returns the bytes skipped.
fn skip_line(r: &mut impl BufRead) -> Result<u64, String> {
    let mut skipped = 0;
    loop {
        let buffer = r.fill_buf().map_err(broken_off)?;
        if buffer.is_empty() {
            return Err("its pickle breaks off".into());
        }
        let end = buffer.iter().position(|&b| b == b'\n');
        let step = end.map_or(buffer.len(), |end| end + 1);
        r.consume(step);
        skipped += step as u64;
        if end.is_some() {
            return Ok(skipped);
        }
    }
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
