use std::path::Path;

use serde_json::Value;

use super::{PLAN_VERSION, Plan};
use crate::files::{read_text, write_json};
use crate::{Error, Result};

impl Plan {
    /// Reads a plan from a JSON file, such as the `plan.json` of a run folder.
    ///
    /// # Errors
    ///
    /// [`Error::Plan`] if the file is not a plan, has an unknown or a missing key, or is of a later
    /// version, and [`Error::Io`] if it cannot be read.
    pub fn read(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let error = |reason: String| Error::Plan {
            path: path.to_path_buf(),
            reason,
        };
        let value: Value =
            serde_json::from_str(&read_text(path)?).map_err(|e| error(format!("not JSON: {e}")))?;
        match value.get("version").and_then(Value::as_u64) {
            None => return Err(error("it has no `version`, so it is not a plan".into())),
            Some(version) if version > u64::from(PLAN_VERSION) => {
                return Err(error(format!(
                    "it has version {version}, this program knows {PLAN_VERSION}: use a later e2mc"
                )));
            }
            Some(_) => {}
        }
        Self::from_value(value).map_err(error)
    }

    /// The plan of a run folder.
    ///
    /// # Errors
    ///
    /// [`Error::RunFolder`] if the folder contains no run, and the errors of [`read`](Self::read).
    pub fn of_run(folder: impl AsRef<Path>) -> Result<Self> {
        let folder = folder.as_ref();
        let plan = folder.join("plan.json");
        match plan.exists() {
            true => Self::read(plan),
            false => Err(Error::RunFolder {
                path: folder.to_path_buf(),
                problem: "it holds no run: plan.json is missing".into(),
            }),
        }
    }

    /// Writes the plan as JSON.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if the file cannot be written.
    pub fn write(&self, path: impl AsRef<Path>) -> Result<()> {
        write_json(path.as_ref(), self)
    }

    pub(super) fn from_value(value: Value) -> Result<Self, String> {
        serde_json::from_value(value).map_err(|error| error.to_string())
    }

    /// The plan as a tree of JSON values.
    pub(crate) fn to_value(&self) -> Value {
        serde_json::to_value(self).expect("a plan has a JSON form")
    }
}
