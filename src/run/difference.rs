use std::path::Path;

use serde_json::Value;

/// Longer values are abbreviated.
const SHOWN: usize = 60;

/// The differences between two trees of JSON values, one line each: `epochs: 10, now 20`. Two
/// spellings of the same existing path are equal.
pub(crate) fn differences(before: &Value, now: &Value) -> Vec<String> {
    let mut found = Vec::new();
    compare("", before, now, &mut found);
    found
}

fn compare(path: &str, before: &Value, now: &Value, found: &mut Vec<String>) {
    let inner = |key: &str| match path {
        "" => key.to_string(),
        _ => format!("{path}.{key}"),
    };
    match (before, now) {
        (Value::Object(before), Value::Object(now)) => {
            for (key, value) in before {
                compare(
                    &inner(key),
                    value,
                    now.get(key).unwrap_or(&Value::Null),
                    found,
                );
            }
            for (key, value) in now.iter().filter(|(key, _)| !before.contains_key(*key)) {
                compare(&inner(key), &Value::Null, value, found);
            }
        }
        (Value::Array(before), Value::Array(now)) if before.len() == now.len() => {
            for (i, (before, now)) in before.iter().zip(now).enumerate() {
                compare(&inner(&i.to_string()), before, now, found);
            }
        }
        (before, now) if before == now || same_file(before, now) => {}
        (before, now) => found.push(format!("{path}: {}, now {}", shown(before), shown(now))),
    }
}

fn same_file(a: &Value, b: &Value) -> bool {
    let real = |value: &Value| Path::new(value.as_str()?).canonicalize().ok();
    real(a).is_some_and(|a| Some(a) == real(b))
}

fn shown(value: &Value) -> String {
    let text = value.to_string();
    match text.chars().count() > SHOWN {
        true => format!("{}...", text.chars().take(SHOWN).collect::<String>()),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_what_differs_and_nothing_else() {
        let before = json!({"a": 1, "b": {"c": [1, 2], "d": "x"}, "gone": true});
        let now = json!({"a": 1, "b": {"c": [1, 3], "d": "y"}, "new": null});
        assert_eq!(
            differences(&before, &now),
            [
                "b.c.1: 2, now 3",
                "b.d: \"x\", now \"y\"",
                "gone: true, now null"
            ]
        );
        assert!(differences(&before, &before).is_empty());
    }

    #[test]
    fn two_spellings_of_a_path_are_one() {
        let [a, b] = ["src", "./src/../src"].map(|path| json!({ "data": path }));
        assert!(differences(&a, &b).is_empty());
        assert_eq!(differences(&a, &json!({"data": "docs"})).len(), 1);
    }
}
