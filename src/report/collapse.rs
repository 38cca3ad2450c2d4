use maud::{Markup, html};

use crate::StepMetrics;
use crate::study::RunData;

/// Warnings of embeddings that collapsed during or after training; empty if none did.
pub(super) fn collapse_section(data: &RunData) -> Markup {
    let branches = data.plan.branches.iter().zip(&data.steps);
    let in_training = branches
        .filter_map(|(branch, steps)| Some(format!("{}, {}", branch.title(), of_training(steps)?)));
    let at_the_end = data.measured.iter().filter_map(|backbone| {
        let collapse = backbone.embeddings.collapse()?;
        Some(format!("{}, on test images: {collapse}", backbone.title))
    });
    let warnings: Vec<String> = in_training.chain(at_the_end).collect();
    html! {
        @if !warnings.is_empty() {
            section.running {
                h2 { "Collapse" }
                @for warning in &warnings { p { (warning) "." } }
            }
        }
    }
}

/// The first collapse of a training, and how often it was measured.
fn of_training(steps: &[StepMetrics]) -> Option<String> {
    let mut collapsed = steps.iter().filter(|step| step.collapse.is_some());
    let first = collapsed.next()?;
    let (step, warning) = (first.step, first.collapse?);
    let seen = 1 + collapsed.count();
    let measured = steps
        .iter()
        .filter(|step| step.effective_rank.is_some())
        .count();
    Some(format!(
        "step {step} (and in {seen} of {measured} measurements): {warning}"
    ))
}
