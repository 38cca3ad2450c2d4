//! Layouts that a caller names, where the names in a file fit several.

use super::error::{CheckpointError, Result};
use super::file::Checkpoint;
use super::infer::unused_in_blocks;
use super::layout::{Layout, resnet_at};

impl Checkpoint {
    /// Treats the checkpoint as one of this layout, for files that match several.
    ///
    /// # Errors
    ///
    /// [`CheckpointError::WrongLayout`] if the names of that layout are not there.
    pub fn with_layout(mut self, layout: Layout) -> Result<Self> {
        if layout == self.layout {
            return Ok(self);
        }
        let Some(prefix) = layout.prefix_in(&self.tensors) else {
            return Err(self.wrong_layout(layout.to_string()));
        };
        self.layout = layout;
        self.backbone_prefix = Some(prefix);
        self.unused = unused_in_blocks(&self);
        Ok(self)
    }

    /// Uses the ResNet under `prefix`, such as `"model.encoder"`, as the backbone. The empty prefix
    /// is the root.
    ///
    /// # Errors
    ///
    /// [`CheckpointError::WrongLayout`] if no ResNet is there.
    pub fn with_backbone_prefix(mut self, prefix: &str) -> Result<Self> {
        let prefix = prefix.trim_end_matches('.');
        let dotted = match prefix {
            "" => String::new(),
            prefix => format!("{prefix}."),
        };
        if !resnet_at(&self.tensors, &dotted) {
            return Err(self.wrong_layout(format!("of a ResNet under {prefix:?}")));
        }
        if self.backbone_prefix.as_deref() != Some(prefix) {
            self.layout = match prefix {
                "" => Layout::Backbone,
                _ => Layout::Prefixed,
            };
            self.backbone_prefix = Some(prefix.to_string());
            self.unused = unused_in_blocks(&self);
        }
        Ok(self)
    }

    fn wrong_layout(&self, named: String) -> CheckpointError {
        CheckpointError::WrongLayout {
            path: self.path.clone(),
            named,
            recognized: self.layout.to_string(),
        }
    }
}
