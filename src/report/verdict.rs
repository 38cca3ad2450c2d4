use crate::Verdict;

/// What the sentences of [`verdict_sentences`] rest on.
pub const VERDICT_NOTE: &str = "Found: at a level of 5% over all amounts of labels together \
    (Holm), by the paired t test over the draws of labels, or by McNemar's over the test images \
    where there is one draw. Could have found: with a probability of 80%. Other seeds of the \
    training are not part of these tests.";

/// Each verdict in a sentence. `title` gives a backbone's title from its name.
pub fn verdict_sentences(verdicts: &[Verdict], title: impl Fn(&str) -> String) -> Vec<String> {
    let sentence = |of: &Verdict| of.sentence(&title(&of.backbone), &title(&of.reference));
    verdicts.iter().map(sentence).collect()
}
