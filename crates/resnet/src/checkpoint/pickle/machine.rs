use std::collections::HashMap;
use std::io::BufRead;

use super::read::{byte, float, line, number, skip, text};
use super::value::{Item, Node, Object, Pickle};

/// The stack, the marks, the memo and the objects of a pickle.
#[derive(Default)]
pub(super) struct Machine {
    stack: Vec<Item>,
    marks: Vec<usize>,
    memo: HashMap<u32, Item>,
    nodes: Vec<Node>,
}

impl Machine {
    /// Executes one instruction; returns false at the end of the pickle. Nothing is called: a call
    /// becomes an object that records the function and its arguments.
    pub(super) fn step(&mut self, r: &mut impl BufRead) -> Result<bool, String> {
        match byte(r)? {
            b'.' => return Ok(false),
            // Protocol and frame.
            0x80 => skip(r, 1)?,
            0x95 => skip(r, 8)?,
            // None, true, false, and numbers.
            b'N' => self.stack.push(Item::None),
            0x88 => self.stack.push(Item::Bool(true)),
            0x89 => self.stack.push(Item::Bool(false)),
            b'K' => self.int(number(r, 1)? as i64),
            b'M' => self.int(number(r, 2)? as i64),
            b'J' => self.int(i64::from(number(r, 4)? as i32)),
            b'G' => {
                let value = float(r)?;
                self.stack.push(Item::Float(value));
            }
            b'I' => {
                let item = match line(r)?.as_deref() {
                    Some("00") => Item::Bool(false),
                    Some("01") => Item::Bool(true),
                    digits => parsed(digits).map_or(Item::Opaque, Item::Int),
                };
                self.stack.push(item);
            }
            b'L' => {
                let digits = line(r)?;
                let digits = digits.as_deref().map(|digits| digits.trim_end_matches('L'));
                self.stack
                    .push(parsed(digits).map_or(Item::Opaque, Item::Int));
            }
            b'F' => {
                let digits = line(r)?;
                self.stack
                    .push(parsed(digits.as_deref()).map_or(Item::Opaque, Item::Float));
            }
            0x8a => self.long(r, 1)?,
            0x8b => self.long(r, 4)?,
            // Text, which may be a key.
            0x8c | b'U' => self.text(r, 1)?,
            b'X' | b'T' => self.text(r, 4)?,
            0x8d => self.text(r, 8)?,
            b'V' => {
                let text = line(r)?;
                self.push_text(text);
            }
            b'S' => {
                let text = line(r)?.map(|line| line.trim_matches(['\'', '"']).to_string());
                self.push_text(text);
            }
            // Bytes, and buffers outside the pickle.
            b'C' => self.bytes(r, 1)?,
            b'B' => self.bytes(r, 4)?,
            0x8e | 0x96 => self.bytes(r, 8)?,
            0x97 => self.stack.push(Item::Opaque),
            0x98 => {}
            // Containers.
            b'(' => self.marks.push(self.stack.len()),
            b')' | b']' | 0x8f => self.push(Node::Sequence(Vec::new())),
            b'}' => self.push(Node::Dictionary(Vec::new())),
            b't' | b'l' | 0x91 => {
                let items = self.pop_to_mark()?;
                self.push(Node::Sequence(items));
            }
            0x85 => self.tuple(1)?,
            0x86 => self.tuple(2)?,
            0x87 => self.tuple(3)?,
            b'a' => {
                let item = self.pop()?;
                self.extend(vec![item])?;
            }
            b'e' | 0x90 => {
                let items = self.pop_to_mark()?;
                self.extend(items)?;
            }
            b'd' => {
                let items = self.pop_to_mark()?;
                self.push(Node::Dictionary(Vec::new()));
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
                let top = self.top()?;
                self.stack.push(top);
            }
            // The memo.
            b'g' => {
                let index = line_index(r)?;
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
                let index = line_index(r)?;
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
                let name = named(line(r)?.as_deref(), line(r)?.as_deref());
                self.push(Node::Class(name));
            }
            0x93 => {
                let name = self.pop()?;
                let module = self.pop()?;
                let name = named(self.text_of(module), self.text_of(name));
                self.push(Node::Class(name));
            }
            0x82 => self.extension(r, 1)?,
            0x83 => self.extension(r, 2)?,
            0x84 => self.extension(r, 4)?,
            b'P' => {
                line(r)?;
                self.stack.push(Item::Opaque);
            }
            b'Q' => {
                let description = self.pop()?;
                self.push(Node::Persistent(description));
            }
            b'R' | 0x81 => {
                let arguments = self.pop()?;
                let class = self.pop()?;
                self.make(class, arguments);
            }
            0x92 => {
                self.pop()?;
                let arguments = self.pop()?;
                let class = self.pop()?;
                self.make(class, arguments);
            }
            b'i' => {
                let class = named(line(r)?.as_deref(), line(r)?.as_deref());
                let arguments = self.pop_to_mark()?;
                self.push(Node::Class(class));
                let class = self.pop()?;
                self.push(Node::Sequence(arguments));
                let arguments = self.pop()?;
                self.make(class, arguments);
            }
            b'o' => {
                let mut arguments = self.pop_to_mark()?;
                if arguments.is_empty() {
                    return Err(underflow());
                }
                let class = arguments.remove(0);
                self.push(Node::Sequence(arguments));
                let arguments = self.pop()?;
                self.make(class, arguments);
            }
            b'b' => {
                let state = self.pop()?;
                if let Some(Node::Object(object)) = self.top_node()? {
                    object.state = state;
                }
            }
            other => {
                return Err(format!(
                    "its pickle has an unknown instruction {other:#04x}"
                ));
            }
        }
        Ok(true)
    }

    /// The pickle, whose object is on top of the stack.
    pub(super) fn finish(mut self, len: u64) -> Result<Pickle, String> {
        let root = self.pop()?;
        Ok(Pickle {
            nodes: self.nodes,
            root,
            len,
        })
    }

    fn push(&mut self, node: Node) {
        self.stack.push(Item::Node(self.nodes.len() as u32));
        self.nodes.push(node);
    }

    fn int(&mut self, value: i64) {
        self.stack.push(Item::Int(value));
    }

    /// A number of any length, the lowest byte first, in two's complement.
    fn long(&mut self, r: &mut impl BufRead, len_bytes: usize) -> Result<(), String> {
        let len = number(r, len_bytes)?;
        if len > 8 {
            skip(r, len)?;
            self.stack.push(Item::Opaque);
            return Ok(());
        }
        let unused = 64 - 8 * len as u32;
        let value = match len {
            0 => 0,
            len => (number(r, len as usize)? as i64) << unused >> unused,
        };
        self.int(value);
        Ok(())
    }

    fn text(&mut self, r: &mut impl BufRead, len_bytes: usize) -> Result<(), String> {
        let len = number(r, len_bytes)?;
        let text = text(r, len)?;
        self.push_text(text);
        Ok(())
    }

    fn push_text(&mut self, text: Option<String>) {
        match text {
            Some(text) => self.push(Node::Text(text.into_boxed_str())),
            None => self.stack.push(Item::Opaque),
        }
    }

    fn text_of(&self, item: Item) -> Option<&str> {
        match item {
            Item::Node(place) => match &self.nodes[place as usize] {
                Node::Text(text) => Some(text),
                _ => None,
            },
            _ => None,
        }
    }

    fn bytes(&mut self, r: &mut impl BufRead, len_bytes: usize) -> Result<(), String> {
        let len = number(r, len_bytes)?;
        skip(r, len)?;
        self.stack.push(Item::Opaque);
        Ok(())
    }

    fn extension(&mut self, r: &mut impl BufRead, len: u64) -> Result<(), String> {
        skip(r, len)?;
        self.stack.push(Item::Opaque);
        Ok(())
    }

    fn mark_on_top(&self) -> bool {
        self.marks.last() == Some(&self.stack.len())
    }

    fn top(&self) -> Result<Item, String> {
        match self.mark_on_top() {
            true => Err(underflow()),
            false => self.stack.last().copied().ok_or_else(underflow),
        }
    }

    fn top_node(&mut self) -> Result<Option<&mut Node>, String> {
        Ok(match self.top()? {
            Item::Node(place) => self.nodes.get_mut(place as usize),
            _ => None,
        })
    }

    fn pop(&mut self) -> Result<Item, String> {
        let top = self.top()?;
        self.stack.pop();
        Ok(top)
    }

    fn pop_to_mark(&mut self) -> Result<Vec<Item>, String> {
        let mark = self.marks.pop().ok_or_else(underflow)?;
        Ok(self.stack.split_off(mark))
    }

    fn tuple(&mut self, len: usize) -> Result<(), String> {
        let mut items = Vec::with_capacity(len);
        for _ in 0..len {
            items.push(self.pop()?);
        }
        items.reverse();
        self.push(Node::Sequence(items));
        Ok(())
    }

    fn make(&mut self, class: Item, arguments: Item) {
        self.push(Node::Object(Box::new(Object {
            class,
            arguments,
            pairs: Vec::new(),
            items: Vec::new(),
            state: Item::None,
        })));
    }

    fn extend(&mut self, items: Vec<Item>) -> Result<(), String> {
        match self.top_node()? {
            Some(Node::Sequence(list)) => list.extend(items),
            Some(Node::Object(object)) => object.items.extend(items),
            _ => {}
        }
        Ok(())
    }

    fn set_items(&mut self, items: &[Item]) -> Result<(), String> {
        let pairs = items
            .as_chunks::<2>()
            .0
            .iter()
            .map(|&[key, value]| (key, value));
        match self.top_node()? {
            Some(Node::Dictionary(dictionary)) => dictionary.extend(pairs),
            Some(Node::Object(object)) => object.pairs.extend(pairs),
            _ => {}
        }
        Ok(())
    }

    fn fetch(&mut self, index: u32) -> Result<(), String> {
        let item = self.memo.get(&index);
        let item = item.ok_or_else(|| format!("its pickle refers to an unknown object {index}"))?;
        self.stack.push(*item);
        Ok(())
    }

    fn memoise(&mut self, index: u32) -> Result<(), String> {
        let top = self.top()?;
        self.memo.insert(index, top);
        Ok(())
    }
}

fn underflow() -> String {
    "its pickle takes more from its stack than it holds".into()
}

fn parsed<T: std::str::FromStr>(digits: Option<&str>) -> Option<T> {
    digits?.trim().parse().ok()
}

fn line_index(r: &mut impl BufRead) -> Result<u32, String> {
    parsed(line(r)?.as_deref())
        .ok_or_else(|| "its pickle has a memo index that is not a number".to_string())
}

/// Module and name of a class; `?` if one is not text.
fn named(module: Option<&str>, name: Option<&str>) -> Box<str> {
    format!("{} {}", module.unwrap_or("?"), name.unwrap_or("?")).into()
}
