//! How `torch.save` pickles a tensor: a call that rebuilds it from a storage.

use burn::tensor::{BoolStore, DType};

use super::value::{Item, Node, Pickle};

/// A tensor's description in a pickle.
#[derive(Debug, Clone)]
pub(in super::super) struct TensorAt {
    pub(in super::super) storage: Storage,
    pub(in super::super) dtype: DType,
    /// In elements, from the storage's start.
    pub(in super::super) offset: u64,
    pub(in super::super) shape: Vec<usize>,
    /// In elements.
    pub(in super::super) stride: Vec<usize>,
}

/// A run of values that tensors share.
#[derive(Debug, Clone)]
pub(in super::super) struct Storage {
    pub(in super::super) key: String,
    /// Bytes of all its values.
    pub(in super::super) len: u64,
    /// Bytes of one element.
    pub(in super::super) element: u64,
    /// Start of a view of a storage, in elements. PyTorch before 0.4 stored such views.
    view: u64,
}

/// What an item says about a tensor.
#[derive(Debug)]
pub(in super::super) enum Found {
    Tensor(TensorAt),
    /// A description of a tensor whose kind is not supported.
    Unsupported(String),
}

/// Element types by PyTorch's names of the storage class and the dtype.
const ELEMENTS: [(&str, &str, DType, u64); 13] = [
    ("DoubleStorage", "float64", DType::F64, 8),
    ("FloatStorage", "float32", DType::F32, 4),
    ("HalfStorage", "float16", DType::F16, 2),
    ("BFloat16Storage", "bfloat16", DType::BF16, 2),
    ("LongStorage", "int64", DType::I64, 8),
    ("IntStorage", "int32", DType::I32, 4),
    ("ShortStorage", "int16", DType::I16, 2),
    ("CharStorage", "int8", DType::I8, 1),
    ("", "uint64", DType::U64, 8),
    ("", "uint32", DType::U32, 4),
    ("", "uint16", DType::U16, 2),
    ("ByteStorage", "uint8", DType::U8, 1),
    ("BoolStorage", "bool", DType::Bool(BoolStore::Native), 1),
];

/// Storages whose values are not supported. Their sizes are needed to find the next storage of a
/// legacy file.
const OTHER_STORAGES: [(&str, u64, &str); 8] = [
    ("ComplexDoubleStorage", 16, "complex"),
    ("ComplexFloatStorage", 8, "complex"),
    ("QInt8Storage", 1, "quantized"),
    ("QUInt8Storage", 1, "quantized"),
    ("QInt32Storage", 4, "quantized"),
    ("QUInt4x2Storage", 1, "quantized"),
    ("QUInt2x4Storage", 1, "quantized"),
    ("UntypedStorage", 1, "of an unnamed element type"),
];

/// Maximum nesting of calls around a tensor: a parameter of a subclass has two.
const MAX_NESTING: usize = 8;

impl Pickle {
    /// The tensor that the item describes, if any.
    ///
    /// # Errors
    ///
    /// The reason, if the description is inconsistent.
    pub(in super::super) fn tensor(&self, item: Item) -> Result<Option<Found>, String> {
        let mut item = item;
        for _ in 0..MAX_NESTING {
            let Some(object) = self.object(item) else {
                return Ok(None);
            };
            let (Some(mut class), Some(mut arguments)) =
                (self.class(object.class), self.arguments(object.arguments))
            else {
                return Ok(None);
            };
            if class == "torch._tensor _rebuild_from_type_v2" {
                let &[inner, _, tuple, ..] = arguments else {
                    return Ok(None);
                };
                let (Some(name), Some(of_tuple)) = (self.class(inner), self.arguments(tuple))
                else {
                    return Ok(None);
                };
                (class, arguments) = (name, of_tuple);
            }
            match class {
                "torch._utils _rebuild_parameter"
                | "torch._utils _rebuild_parameter_with_state"
                | "torch.nn.parameter Parameter" => match arguments.first() {
                    Some(&inner) => item = inner,
                    None => return Ok(None),
                },
                "torch._utils _rebuild_tensor" | "torch._utils _rebuild_tensor_v2" => {
                    return self.rebuilt(arguments, None).map(Some);
                }
                "torch._utils _rebuild_tensor_v3" => {
                    let dtype = arguments.get(6).and_then(|&dtype| self.class(dtype));
                    return self
                        .rebuilt(arguments, Some(dtype.unwrap_or("?")))
                        .map(Some);
                }
                other => return Ok(unsupported(other).map(Found::Unsupported)),
            }
        }
        Ok(None)
    }

    fn arguments(&self, item: Item) -> Option<&[Item]> {
        match self.node(item)? {
            Node::Sequence(items) => Some(items),
            _ => None,
        }
    }

    /// The storage that a description names: `("storage", class, key, location, elements)`.
    pub(in super::super) fn storage(&self, item: Item) -> Option<(Storage, &str)> {
        let Node::Persistent(description) = self.node(item)? else {
            return None;
        };
        let &[kind, class, key, _, elements, ref rest @ ..] = self.arguments(*description)? else {
            return None;
        };
        let view = match rest.first().and_then(|&view| self.arguments(view)) {
            Some(&[_, start, ..]) => self.whole(start)?,
            _ => 0,
        };
        if self.text(kind) != Some("storage") {
            return None;
        }
        let class = self.class(class)?.rsplit(' ').next()?;
        let key = match key {
            Item::Int(key) => key.to_string(),
            key => self.text(key)?.to_string(),
        };
        let element = ELEMENTS
            .iter()
            .find(|known| known.0 == class)
            .map(|known| known.3)
            .or_else(|| {
                let other = OTHER_STORAGES.iter().find(|other| other.0 == class);
                other.map(|other| other.1)
            })?;
        let len = self.whole(elements)?.checked_mul(element)?;
        Some((
            Storage {
                key,
                len,
                element,
                view,
            },
            class,
        ))
    }

    /// All storages that the pickle names, in their order.
    pub(in super::super) fn storages(&self) -> impl Iterator<Item = Storage> + '_ {
        (0..self.len_in_nodes())
            .filter_map(|place| self.storage(Item::Node(place as u32)))
            .map(|(storage, _)| storage)
    }

    /// `(storage, offset, shape, stride, ...)`, of the storage's element type or of `dtype`.
    fn rebuilt(&self, arguments: &[Item], dtype: Option<&str>) -> Result<Found, String> {
        let &[storage, offset, shape, stride, ..] = arguments else {
            return Err("a tensor lacks its shape".into());
        };
        let Some((storage, class)) = self.storage(storage) else {
            return Ok(Found::Unsupported("without a known storage".into()));
        };
        let known = match dtype {
            Some(dtype) => {
                let name = dtype.trim_start_matches("torch ");
                let known = ELEMENTS.iter().find(|known| known.1 == name);
                known.ok_or_else(|| format!("of {name} values"))
            }
            None => {
                let known = ELEMENTS.iter().find(|known| known.0 == class);
                known.ok_or_else(|| {
                    let other = OTHER_STORAGES.iter().find(|other| other.0 == class);
                    other
                        .map_or("of an unknown type", |other| other.2)
                        .to_string()
                })
            }
        };
        let &(_, _, dtype, element) = match known {
            Ok(known) => known,
            Err(kind) => return Ok(Found::Unsupported(kind)),
        };
        let whole = |item: Item| {
            let number = self
                .whole(item)
                .and_then(|number| usize::try_from(number).ok());
            number.ok_or("a tensor's shape, stride or offset is not a whole number of at least 0")
        };
        let list = |item: Item| -> Result<Vec<usize>, String> {
            let items = self.sequence(item).ok_or("a tensor lacks its shape")?;
            Ok(items
                .iter()
                .map(|&item| whole(item))
                .collect::<Result<_, _>>()?)
        };
        let tensor = TensorAt {
            dtype,
            offset: (whole(offset)? as u64).saturating_add(storage.view),
            shape: list(shape)?,
            stride: list(stride)?,
            storage: Storage { element, ..storage },
        };
        tensor.check()?;
        Ok(Found::Tensor(tensor))
    }
}

/// Describes a tensor that another function rebuilds; `None` if the function rebuilds no tensor.
fn unsupported(function: &str) -> Option<String> {
    let (module, name) = function.split_once(' ')?;
    if !module.starts_with("torch._utils") && !module.starts_with("torch._tensor") {
        return None;
    }
    let kind = name.strip_prefix("_rebuild_")?;
    Some(match kind {
        "sparse_tensor" | "sparse_csr_tensor" => "sparse".into(),
        "qtensor" => "quantized".into(),
        "nested_tensor" => "nested".into(),
        kind if kind.contains("tensor") || kind.contains("wrapper") => {
            format!("rebuilt by {name}")
        }
        _ => return None,
    })
}
