use std::collections::HashMap;
use std::io::BufRead;

use super::KeyOrder;
use super::read::{broken_off, byte, line_number, number, skip, skip_line};
use super::weight::Weight;

/// Values that may be copied through the memo in one pickle.
const MAX_COPIES: u64 = 2_000_000;
/// Dictionaries, lists and calls within each other.
const MAX_DEPTH: u32 = 200;
/// Keys whose order is noted, and their length.
const MAX_KEYS: usize = 1 << 16;
const MAX_KEY_LEN: u64 = 256;

/// The stack, the marks and the memo of a pickle, with the weights of their objects.
#[derive(Default)]
pub(super) struct Machine {
    stack: Vec<Weight>,
    marks: Vec<usize>,
    memo: HashMap<u32, Weight>,
    copies: u64,
}

impl Machine {
    /// Executes one instruction; false at the end of the pickle.
    pub(super) fn step(
        &mut self,
        r: &mut impl BufRead,
        order: &mut KeyOrder,
    ) -> Result<bool, String> {
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

    pub(super) fn pop(&mut self) -> Result<Weight, String> {
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
