//! The objects of a pickle.
//!
//! Objects are in one list and refer to each other by index. An object that is fetched a million
//! times is stored once, so memory is proportional to the pickle.

/// A value, or the index of an object.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in super::super) enum Item {
    None,
    Bool(bool),
    Int(i64),
    Float(f64),
    /// A value that no tensor needs: bytes, a long text, a large number.
    Opaque,
    Node(u32),
}

#[derive(Debug)]
pub(in super::super) enum Node {
    Text(Box<str>),
    /// A list, tuple or set.
    Sequence(Vec<Item>),
    Dictionary(Vec<(Item, Item)>),
    /// Module and name, with a space between.
    Class(Box<str>),
    /// Data that the writer stored outside the pickle, by its description.
    Persistent(Item),
    Object(Box<Object>),
}

/// The object that a call or a class would create.
#[derive(Debug)]
pub(in super::super) struct Object {
    pub(in super::super) class: Item,
    pub(in super::super) arguments: Item,
    pub(in super::super) pairs: Vec<(Item, Item)>,
    pub(in super::super) items: Vec<Item>,
    pub(in super::super) state: Item,
}

/// All objects of a pickle, and its root.
#[derive(Debug)]
pub(in super::super) struct Pickle {
    pub(super) nodes: Vec<Node>,
    pub(in super::super) root: Item,
    /// Its length in bytes.
    pub(in super::super) len: u64,
}

impl Pickle {
    pub(in super::super) fn node(&self, item: Item) -> Option<&Node> {
        match item {
            Item::Node(place) => self.nodes.get(place as usize),
            _ => None,
        }
    }

    pub(in super::super) fn text(&self, item: Item) -> Option<&str> {
        match self.node(item)? {
            Node::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(in super::super) fn class(&self, item: Item) -> Option<&str> {
        match self.node(item)? {
            Node::Class(name) => Some(name),
            _ => None,
        }
    }

    pub(in super::super) fn object(&self, item: Item) -> Option<&Object> {
        match self.node(item)? {
            Node::Object(object) => Some(object),
            _ => None,
        }
    }

    /// The items of a list or tuple, or of a subclass of one such as `torch.Size`.
    pub(in super::super) fn sequence(&self, item: Item) -> Option<&[Item]> {
        match self.node(item)? {
            Node::Sequence(items) => Some(items),
            Node::Object(object) if !object.items.is_empty() => Some(&object.items),
            Node::Object(object) => match self.node(object.arguments)? {
                Node::Sequence(arguments) if arguments.len() == 1 => {
                    match self.node(arguments[0])? {
                        Node::Sequence(items) => Some(items),
                        _ => None,
                    }
                }
                _ => None,
            },
            _ => None,
        }
    }

    /// The entries of a dictionary, or of an object with entries, such as a subclass of `dict`.
    pub(in super::super) fn pairs(&self, item: Item) -> &[(Item, Item)] {
        match self.node(item) {
            Some(Node::Dictionary(pairs)) => pairs,
            Some(Node::Object(object)) => &object.pairs,
            _ => &[],
        }
    }

    /// The last entry under the key.
    pub(in super::super) fn get(&self, item: Item, key: &str) -> Option<Item> {
        self.pairs(item)
            .iter()
            .rev()
            .find(|&&(name, _)| self.text(name) == Some(key))
            .map(|&(_, value)| value)
    }

    /// A whole number, even if it was written as a float.
    pub(in super::super) fn whole(&self, item: Item) -> Option<u64> {
        match item {
            Item::Int(number) => u64::try_from(number).ok(),
            Item::Float(number) if (0.0..1e15).contains(&number) && number.fract() == 0.0 => {
                Some(number as u64)
            }
            _ => None,
        }
    }

    pub(in super::super) fn len_in_nodes(&self) -> usize {
        self.nodes.len()
    }
}
