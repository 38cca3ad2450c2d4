//! The tensors of a pickle by name: the keys that lead to them, with dots between.

use super::tensor::Found;
use super::value::{Item, Node, Pickle};

/// Deeper objects are skipped.
const MAX_DEPTH: usize = 100;
/// Bytes of all names together, for each byte of the pickle: an ordinary tensor takes 150 bytes,
/// its name 30.
const NAMES_PER_BYTE: u64 = 16;
/// For small pickles.
const NAMES_AT_LEAST: u64 = 1 << 20;

/// A tensor and its name.
pub(in super::super) type Named = (String, Found);

/// The tensors in the order of the file.
///
/// # Errors
///
/// The reason, if a tensor is inconsistent, or shared objects give so many names that they would
/// take far more memory than the file.
pub(in super::super) fn tensors(pickle: &Pickle) -> Result<Vec<Named>, String> {
    let count = pickle.len_in_nodes();
    let mut walk = Walk {
        pickle,
        path: String::new(),
        empty: vec![false; count],
        entered: vec![false; count],
        budget: pickle.len.saturating_mul(NAMES_PER_BYTE) + NAMES_AT_LEAST,
        found: Vec::new(),
    };
    walk.visit(pickle.root, 0)?;
    Ok(walk.found)
}

struct Walk<'a> {
    pickle: &'a Pickle,
    path: String,
    /// Objects known to hold no tensor.
    empty: Vec<bool>,
    /// Objects on the path to the current one, so that cycles are not followed.
    entered: Vec<bool>,
    budget: u64,
    found: Vec<Named>,
}

impl Walk<'_> {
    fn visit(&mut self, item: Item, depth: usize) -> Result<(), String> {
        let Item::Node(place) = item else {
            return Ok(());
        };
        let place = place as usize;
        if depth > MAX_DEPTH || self.empty[place] || self.entered[place] {
            return Ok(());
        }
        self.spend(1)?;
        if let Some(found) = self.pickle.tensor(item)? {
            self.spend(self.path.len() as u64 + 64)?;
            self.found.push((self.path.clone(), found));
            return Ok(());
        }
        self.entered[place] = true;
        let before = self.found.len();
        self.parts(item, depth)?;
        self.entered[place] = false;
        self.empty[place] = self.found.len() == before;
        Ok(())
    }

    fn parts(&mut self, item: Item, depth: usize) -> Result<(), String> {
        let pickle = self.pickle;
        match pickle.node(item) {
            Some(Node::Dictionary(pairs)) => self.pairs(pairs, depth),
            Some(Node::Sequence(items)) => self.items(items, depth),
            // The legacy format keeps a module's source beside it: ("module", module, file,
            // source).
            Some(Node::Persistent(description)) => match pickle.sequence(*description) {
                Some(&[kind, module, ..]) if pickle.text(kind) == Some("module") => {
                    self.visit(module, depth + 1)
                }
                _ => Ok(()),
            },
            Some(Node::Object(object)) if !object.pairs.is_empty() => {
                self.pairs(&object.pairs, depth)
            }
            Some(Node::Object(object)) if !object.items.is_empty() => {
                self.items(&object.items, depth)
            }
            Some(Node::Object(object)) => {
                if pickle.class(object.class) == Some("collections OrderedDict") {
                    return self.listed_pairs(object.arguments, depth);
                }
                match pickle.sequence(object.state) {
                    // State and slots.
                    Some(&[state, slots]) => {
                        self.state(state, depth)?;
                        self.state(slots, depth)
                    }
                    _ => self.state(object.state, depth),
                }
            }
            _ => Ok(()),
        }
    }

    /// An object's attributes. Those of a `torch.nn.Module` get the names of its `state_dict`.
    fn state(&mut self, state: Item, depth: usize) -> Result<(), String> {
        let pickle = self.pickle;
        let module = ["_parameters", "_buffers", "_modules"].map(|part| pickle.get(state, part));
        if module[2].is_none() {
            return self.pairs(pickle.pairs(state), depth);
        }
        for part in module.into_iter().flatten() {
            match pickle.object(part) {
                Some(object) if object.pairs.is_empty() => {
                    self.listed_pairs(object.arguments, depth)?;
                }
                _ => self.pairs(pickle.pairs(part), depth)?,
            }
        }
        Ok(())
    }

    fn pairs(&mut self, pairs: &[(Item, Item)], depth: usize) -> Result<(), String> {
        for &(key, value) in pairs {
            if matches!(value, Item::Node(_)) {
                self.under(&self.key(key), value, depth)?;
            }
        }
        Ok(())
    }

    /// Python 2's form of an ordered dictionary: a list of keys with values.
    fn listed_pairs(&mut self, arguments: Item, depth: usize) -> Result<(), String> {
        let pickle = self.pickle;
        for &argument in pickle.sequence(arguments).unwrap_or_default() {
            let Some(Node::Sequence(pairs)) = pickle.node(argument) else {
                continue;
            };
            for &pair in pairs {
                if let Some(&[key, value]) = pickle.sequence(pair) {
                    self.under(&self.key(key), value, depth)?;
                }
            }
        }
        Ok(())
    }

    fn items(&mut self, items: &[Item], depth: usize) -> Result<(), String> {
        for (index, &item) in items.iter().enumerate() {
            if matches!(item, Item::Node(_)) {
                self.under(&index.to_string(), item, depth)?;
            }
        }
        Ok(())
    }

    fn under(&mut self, key: &str, value: Item, depth: usize) -> Result<(), String> {
        let len = self.path.len();
        if !self.path.is_empty() {
            self.path.push('.');
        }
        self.path.push_str(key);
        self.visit(value, depth + 1)?;
        self.path.truncate(len);
        Ok(())
    }

    fn key(&self, key: Item) -> String {
        match key {
            Item::None => "None".into(),
            Item::Bool(value) => value.to_string(),
            Item::Int(value) => value.to_string(),
            Item::Float(value) => value.to_string(),
            item => self.pickle.text(item).unwrap_or("?").to_string(),
        }
    }

    fn spend(&mut self, cost: u64) -> Result<(), String> {
        match self.budget.checked_sub(cost) {
            Some(left) => {
                self.budget = left;
                Ok(())
            }
            None => Err("its tensor names take too much memory".into()),
        }
    }
}
