/// The fold in which each image is held out, for two classes. Each fold gets its share of both
/// classes, and images of a class keep their order, as in scikit-learn's `StratifiedKFold` without
/// shuffling.
pub(super) fn stratified(positive: &[bool], folds: usize) -> Vec<usize> {
    // scikit-learn sorts the classes by first appearance and deals the sorted images in turn.
    let first = positive.first().copied().unwrap_or_default();
    let of_first = positive.iter().filter(|&&label| label == first).count();
    let dealt = |from: usize, to: usize, fold: usize| {
        (from..to)
            .filter(|position| position % folds == fold)
            .count()
    };
    let sizes = |from, to| {
        (0..folds).flat_map(move |fold| std::iter::repeat_n(fold, dealt(from, to, fold)))
    };
    let mut first_folds = sizes(0, of_first);
    let mut other_folds = sizes(of_first, positive.len());
    let next = positive.iter().map(|&label| {
        let folds: &mut dyn Iterator<Item = usize> = if label == first {
            &mut first_folds
        } else {
            &mut other_folds
        };
        folds.next().expect("one fold per image")
    });
    next.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_part_has_its_share_of_both_classes() {
        let positive: Vec<bool> = (0..14).map(|i| i % 3 == 1).collect(); // 5 of 14
        let folds = stratified(&positive, 3);
        for fold in 0..3 {
            let held = |label| {
                let pairs = folds.iter().zip(&positive);
                pairs.filter(|&(&f, &p)| f == fold && p == label).count()
            };
            assert!((1..=2).contains(&held(true)), "{folds:?}");
            assert_eq!(held(false), 3, "{folds:?}");
        }
    }
}
