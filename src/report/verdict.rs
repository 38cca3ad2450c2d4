use crate::Verdict;

/// Explains the tests behind [`verdict_sentences`].
pub const VERDICT_NOTE: &str = "Found: at a level of 5% over all amounts of labels together \
    (Holm), by the paired t test over the draws of labels, or by McNemar's over the test images \
    where there is one draw. Could have found: with a probability of 80%. Other seeds of the \
    training are not part of these tests.";

/// Each verdict in a sentence. `title` maps a backbone's name to its title.
pub fn verdict_sentences(verdicts: &[Verdict], title: impl Fn(&str) -> String) -> Vec<String> {
    let sentence = |of: &Verdict| of.sentence(&title(&of.backbone), &title(&of.reference));
    verdicts.iter().map(sentence).collect()
}
