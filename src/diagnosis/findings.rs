use crate::plan::MethodPlan;
use crate::{EmbeddingMeasures, EmbeddingSummary};

/// Below this multiple of the covariance of independent uniform dimensions, there is little to
/// decorrelate.
const FAR: f64 = 3.0;
/// Marginal entropy can be raised if it is at least this far below uniform dimensions, in nats.
const LOW: f64 = 0.1;

/// SwAV bases with a covariance above `GAINED` gained in our runs; bases below `NOT_GAINED` did not
/// (docs/when-it-helps.md).
const GAINED: f64 = 0.1;
const NOT_GAINED: f64 = 0.07;

/// Describes what the criterion would change, and what the recorded runs show.
pub(super) fn findings(
    method: &MethodPlan,
    found: &EmbeddingSummary,
    uniform: &EmbeddingMeasures,
) -> Vec<String> {
    vec![
        used(found),
        change(&found.mean, uniform),
        evidence(method, &found.mean),
        LIMITS.into(),
    ]
}

fn used(found: &EmbeddingSummary) -> String {
    let share = found.mean.effective_rank / found.dimensions.min(found.block_images) as f64;
    format!(
        "The embeddings use {:.1} of {} dimensions ({:.0}% of the rank they could have), the \
         features {:.1} of {}.",
        found.mean.effective_rank,
        found.dimensions,
        100.0 * share,
        found.mean.feature_rank,
        found.feature_dimensions
    )
}

fn change(found: &EmbeddingMeasures, uniform: &EmbeddingMeasures) -> String {
    let times = found.covariance / uniform.covariance.max(f64::MIN_POSITIVE);
    let lower = uniform.entropy - found.entropy;
    let entropy = (lower > LOW).then(|| {
        format!("raise the marginal entropy, which is {lower:.2} below that of uniform dimensions")
    });
    let covariance = (times > FAR).then(|| {
        format!("lower the covariance, which is {times:.0} times that of independent dimensions")
    });
    match (entropy, covariance) {
        (Some(entropy), Some(covariance)) => format!("E2MC would {entropy}, and {covariance}."),
        (Some(one), None) | (None, Some(one)) => format!("E2MC would {one}."),
        (None, None) => "E2MC would change little: the embeddings are close to uniform and \
            uncorrelated already."
            .into(),
    }
}

/// docs/when-it-helps.md, in a sentence or two.
fn evidence(method: &MethodPlan, found: &EmbeddingMeasures) -> String {
    match method {
        MethodPlan::Swav(_) => {
            let like = match found.covariance {
                covariance if covariance > GAINED => "this one is like the former",
                covariance if covariance < NOT_GAINED => "this one is like the latter",
                _ => "this one lies between",
            };
            format!(
                "In our runs with SwAV on small images, eight of nine bases with a covariance \
                 above {GAINED} gained at 1% of the labels with the weights 0.3 and 3 (-0.03 to \
                 +0.96 points; all had been cut short after 20 epochs), and six below {NOT_GAINED} \
                 did not (-0.34 to +0.27); {like}."
            )
        }
        MethodPlan::VicReg => "In our runs with VICReg on small images, nothing was gained beyond \
            chance. On ImageNet, its authors gained 1.0 point at 1% of the labels."
            .into(),
        MethodPlan::SimSiam => {
            "In our runs with SimSiam on small images, nothing was gained at 1% of the labels, and \
            nothing on ImageNet in the paper."
                .into()
        }
        MethodPlan::BarlowTwins => {
            "There is no evidence for Barlow Twins, ours or published.".into()
        }
    }
}

/// The limits of these numbers.
const LIMITS: &str = "These figures describe the embeddings; they do not foretell the gain. How \
    far a base is from the end of its training is measured by training: see what the branch \
    `continued` gains (e2mc continue). More: docs/when-it-helps.md.";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Preset;

    fn measures(entropy: f64, covariance: f64) -> EmbeddingMeasures {
        EmbeddingMeasures {
            entropy,
            covariance,
            correlation: 0.1,
            distance_1d: 0.1,
            distance_2d: 0.1,
            std: 1.0,
            effective_rank: 18.34,
            feature_rank: 48.9,
        }
    }

    #[test]
    fn the_evidence_is_that_of_the_method() {
        let swav = Preset::SwavSmall.method();
        let evidence = |method, covariance| evidence(method, &measures(-0.2, covariance));
        assert!(evidence(&swav, 0.2).ends_with("this one is like the former."));
        assert!(evidence(&swav, 0.02).ends_with("this one is like the latter."));
        assert!(evidence(&swav, 0.08).ends_with("this one lies between."));
        assert!(evidence(&MethodPlan::VicReg, 0.2).contains("with VICReg"));
    }

    #[test]
    fn the_change_is_named_by_what_is_far_from_uniform() {
        let uniform = measures(-0.01, 0.001);
        let change = |entropy, covariance| change(&measures(entropy, covariance), &uniform);
        assert_eq!(
            change(-0.27, 0.0243),
            "E2MC would raise the marginal entropy, which is 0.26 below that of uniform \
             dimensions, and lower the covariance, which is 24 times that of independent \
             dimensions."
        );
        assert_eq!(
            change(-0.05, 0.0243),
            "E2MC would lower the covariance, which is 24 times that of independent dimensions."
        );
        assert!(change(-0.05, 0.002).starts_with("E2MC would change little"));
    }
}
