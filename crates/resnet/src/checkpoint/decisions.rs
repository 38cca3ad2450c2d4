//! Describes how a checkpoint was understood.

use super::file::Checkpoint;
use super::infer::infer_resnet_config;

impl Checkpoint {
    /// The decisions that a program should show its user: layout and architecture, the prefix
    /// removed from the names, other networks in the file, and its other content. Each is one short
    /// sentence. Reads no values.
    pub fn decisions(&self) -> Vec<String> {
        let mut lines = vec![self.what_it_is()];
        if !self.taken.is_empty() {
            lines.push(format!("The model's names begin with {}.", self.taken));
        }
        if self.numbered {
            lines.push("The network's parts are numbered in the file (nn.Sequential).".into());
        }
        if !self.others.is_empty() {
            let taken = match (self.taken.as_str(), self.backbone_prefix()) {
                ("", Ok("")) | (_, Err(_)) => "the one without a prefix".to_string(),
                ("", Ok(prefix)) => prefix.to_string(),
                (taken, Ok("")) => taken.to_string(),
                (taken, Ok(prefix)) => format!("{taken}.{prefix}"),
            };
            lines.push(format!(
                "The file holds {} networks: {taken} is used, {} {} not. Name a prefix to use \
                 another.",
                self.others.len() + 1,
                self.others.join(", "),
                if self.others.len() == 1 { "is" } else { "are" },
            ));
        }
        let beside = self.what_is_beside();
        if !beside.is_empty() {
            lines.push(format!("The file also holds {}.", beside.join(", ")));
        }
        if !self.unused.is_empty() {
            lines.push(format!(
                "The network has no place for {} within its blocks, such as {}.",
                counted(self.unused.len(), "tensor"),
                self.unused[0],
            ));
        }
        lines
    }

    fn what_it_is(&self) -> String {
        match infer_resnet_config(self) {
            Ok(config) => format!("{}, {} ({}).", self.layout(), config.name(), self.format()),
            Err(_) => format!("Layout: {} ({}).", self.layout(), self.format()),
        }
    }

    fn what_is_beside(&self) -> Vec<String> {
        let mut beside = Vec::new();
        if let Some(epoch) = self.epoch() {
            beside.push(format!("epoch {epoch}"));
        }
        if self.facts.has_optimizer {
            beside.push(match self.has_momentum() {
                true => "the optimizer with momentum".into(),
                false => "the optimizer without momentum".into(),
            });
        }
        let others = self.outside().len();
        if others > 0 {
            beside.push(counted(others, "other tensor"));
        }
        if !self.unsupported.is_empty() {
            let count = counted(self.unsupported.len(), "tensor");
            beside.push(format!("{count} of a kind that is not read"));
        }
        beside
    }
}

fn counted(count: usize, what: &str) -> String {
    match count {
        1 => format!("1 {what}"),
        count => format!("{count} {what}s"),
    }
}
