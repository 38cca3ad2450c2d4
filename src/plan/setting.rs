use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::Plan;
use crate::{Error, Result};

impl Plan {
    /// The plan with one setting changed, given by its path in the plan's JSON form:
    /// `optimizer.rule.sgd.momentum`, `branches.1.criterion.e2mc.epsilon`. `value` is JSON, or
    /// plain text if a name is expected.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] if the setting does not exist or the value is invalid.
    pub fn with_setting(&self, path: &str, value: &str) -> Result<Self> {
        changed(self, path, value)
    }
}

/// `settings` with one setting changed, see [`Plan::with_setting`].
pub(super) fn changed<T: Serialize + DeserializeOwned>(
    settings: &T,
    path: &str,
    value: &str,
) -> Result<T> {
    let error = |expected: String| Error::Setting {
        path: path.into(),
        value: value.into(),
        expected,
    };
    let mut tree = serde_json::to_value(settings).expect("settings have a JSON form");
    let mut place = &mut tree;
    for key in path.split('.') {
        let known = keys(place);
        let next = match place {
            Value::Object(fields) => fields.get_mut(key),
            Value::Array(items) => key.parse().ok().and_then(|i: usize| items.get_mut(i)),
            _ => None,
        };
        let missing = || error(format!("an existing setting: {known}"));
        place = next.ok_or_else(missing)?;
    }
    let text = || Value::String(value.into());
    *place = match serde_json::from_str(value) {
        // If text is expected, `4` is also text.
        Ok(Value::Number(_)) if place.is_string() => text(),
        Ok(value) => value,
        Err(_) => text(),
    };
    serde_json::from_value(tree).map_err(|problem| error(problem.to_string()))
}

fn keys(value: &Value) -> String {
    match value {
        Value::Object(fields) => {
            let names: Vec<&str> = fields.keys().map(String::as_str).collect();
            names.join(", ")
        }
        Value::Array(items) if !items.is_empty() => format!("0 to {}", items.len() - 1),
        _ => "no further settings".into(),
    }
}
