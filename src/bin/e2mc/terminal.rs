//! Shows the events of a run on stderr: bars on a terminal, lines elsewhere.

use std::collections::HashMap;
use std::io::IsTerminal;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use e2mc::{Event, Observer, StepMetrics};
use indicatif::{HumanDuration, MultiProgress, ProgressBar, ProgressStyle};

/// Time between two lines about one task without a terminal.
const QUIET: Duration = Duration::from_secs(30);

pub(crate) struct Terminal {
    start: Instant,
    interactive: bool,
    bars: MultiProgress,
    tasks: Mutex<HashMap<String, Task>>,
    stop: Arc<AtomicBool>,
}

struct Task {
    bar: Option<ProgressBar>,
    /// The time of the start or resumption, and how much was done then.
    begun: (Instant, usize),
    said: Instant,
    rank: Option<f64>,
}

impl Task {
    /// The remaining time at the speed so far, in words; empty if unknown.
    fn left(&self, done: usize, total: usize) -> String {
        let (begun, before) = self.begun;
        match done.saturating_sub(before) {
            0 => String::new(),
            _ if total <= done => String::new(),
            new => {
                let rest = (total - done) as f64 / new as f64;
                let rest = begun.elapsed().mul_f64(rest);
                format!(", {} left", HumanDuration(rest))
            }
        }
    }
}

impl Terminal {
    pub(crate) fn new() -> Self {
        Self {
            start: Instant::now(),
            interactive: std::io::stderr().is_terminal(),
            bars: MultiProgress::new(),
            tasks: Mutex::default(),
            stop: Arc::default(),
        }
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    /// Removes the bars.
    pub(crate) fn finish(&self) {
        let _ = self.bars.clear();
    }

    /// The first Ctrl-C or SIGTERM finishes the step and saves the state. The second stops at once.
    pub(crate) fn stop_on_signals(&self) {
        let (stop, bars) = (self.stop.clone(), self.bars.clone());
        let handler = move || {
            if stop.swap(true, Ordering::Relaxed) {
                std::process::exit(1);
            }
            bars.suspend(|| {
                eprintln!("stopping after this step; press Ctrl-C again to stop at once");
            });
        };
        // Without a handler, the signal stops the program at once. Only the last steps are lost.
        if let Err(error) = ctrlc::set_handler(handler) {
            eprintln!("note: Ctrl-C will stop at once: {error}");
        }
    }

    fn say(&self, line: &str) {
        self.bars.suspend(|| eprintln!("{line}"));
    }

    fn progress(&self, task: &str, done: usize, total: usize, message: impl FnOnce() -> String) {
        let mut tasks = self.tasks.lock().expect("no thread panics here");
        let entry = tasks.entry(task.to_string()).or_insert_with(|| Task {
            bar: self.interactive.then(|| self.bar(task, done, total)),
            begun: (Instant::now(), done),
            said: Instant::now(),
            rank: None,
        });
        let finished = done == total && total > 0;
        match &entry.bar {
            Some(bar) => {
                bar.set_position(done as u64);
                bar.set_message(message());
                if finished {
                    bar.finish_and_clear();
                }
            }
            None if finished || entry.said.elapsed() >= QUIET => {
                entry.said = Instant::now();
                let of = match total {
                    0 => String::new(),
                    _ => format!("/{total}"),
                };
                let left = entry.left(done, total);
                eprintln!("{task:<24} {done}{of}{left}  {}", message());
            }
            None => {}
        }
        if finished {
            tasks.remove(task);
        }
    }

    fn bar(&self, task: &str, done: usize, total: usize) -> ProgressBar {
        // Added before it is first drawn; otherwise it would be drawn twice.
        let (bar, style) = match total {
            0 => (ProgressBar::no_length(), "{prefix:<24} {spinner} {pos}"),
            _ => (
                ProgressBar::new(total as u64),
                "{prefix:<24} {bar:20.cyan/blue} {pos:>5}/{len} {elapsed:>4}, {eta:>4} left  \
                 {wide_msg}",
            ),
        };
        let bar = self.bars.add(bar);
        bar.set_style(ProgressStyle::with_template(style).expect("the template is valid"));
        bar.set_prefix(task.to_string());
        bar.set_position(done as u64);
        bar.reset_eta();
        bar
    }

    fn step(&self, step: &StepMetrics, total: usize) {
        if let Some(term) = &step.skipped {
            let StepMetrics { branch, step, .. } = step;
            self.say(&format!(
                "note: {branch}: the {term} is infinite or NaN, so step {step} is skipped"
            ));
        }
        let task = format!("training, {}", step.branch);
        let rank = {
            let mut tasks = self.tasks.lock().expect("no thread panics here");
            tasks.get_mut(&task).and_then(|task| {
                task.rank = step.effective_rank.or(task.rank);
                task.rank
            })
        };
        self.progress(&task, step.step + 1, total, || figures(step, rank));
    }
}

/// The numbers of a step in one line.
fn figures(step: &StepMetrics, rank: Option<f64>) -> String {
    // SwAV's loss if it fails to learn.
    let stuck = step.uniform_loss;
    let stuck = stuck.map_or(String::new(), |stuck| format!(" (ln K {stuck:.2})"));
    let criterion = step.criterion.iter();
    let criterion: String = criterion
        .filter(|(name, _)| !["entropy", "covariance"].contains(&name.as_str()))
        .map(|(name, value)| format!("{name} {value:.3}  "))
        .collect();
    let rank = rank.map_or(String::new(), |rank| format!("rank {rank:.1}  "));
    format!(
        "epoch {}  {:.0} img/s, {:.0}% wait  loss {:.3}{stuck}  {criterion}entropy {:.3}  \
         cov {:.4}  std {:.2}  {rank}",
        step.epoch + 1,
        step.images_per_second,
        100.0 * step.wait,
        step.base_loss,
        step.entropy,
        step.covariance,
        step.embedding_std,
    )
}

impl Observer for Terminal {
    fn event(&self, event: &Event) {
        match event {
            Event::Decision(line) => self.say(line),
            Event::Note(line) => self.say(&format!("note: {line}")),
            Event::Started { folder, resumed } => {
                let verb = if *resumed { "resumed" } else { "run folder" };
                self.say(&format!("{verb}: {}", folder.display()));
            }
            Event::Progress { task, done, total } => {
                self.progress(task, *done, *total, String::new);
            }
            Event::Step { metrics, total } => self.step(metrics, *total),
            Event::Collapsed {
                title,
                step,
                collapse,
            } => {
                let at = step.map_or("on test images".into(), |step| format!("step {step}"));
                self.say(&format!("warning: {title}, {at}: {collapse}"));
            }
            Event::FailedImage(image) => self.say(&image.to_string()),
            Event::Trained {
                branch,
                first_and_last: [first, last],
            } => self.say(&format!(
                "trained, {branch}: base loss {:.3} -> {:.3}, entropy {:.3} -> {:.3}, covariance \
                 {:.4} -> {:.4}",
                first.base_loss,
                last.base_loss,
                first.entropy,
                last.entropy,
                first.covariance,
                last.covariance
            )),
            Event::Probed { backbone, probes } => {
                let means = probes.iter().filter_map(|probe| {
                    let mean = probe.summary().ok()?.mean;
                    Some(format!(
                        "{mean:.1}% with {} of the labels",
                        probe.labels.title()
                    ))
                });
                let means = means.collect::<Vec<_>>().join(", ");
                self.say(&format!("probed, {backbone}: {means}"));
            }
            Event::ProbedInTraining {
                branch,
                epoch,
                probes,
            } => {
                if let Ok(summary) = probes.summary() {
                    self.say(&format!(
                        "probed, {branch}: {:.1}% with {} of the labels after epoch {epoch}",
                        summary.mean,
                        probes.labels.title()
                    ));
                }
            }
            Event::Monitored {
                branch,
                epoch,
                accuracy,
                best: (best, best_epoch),
            } => {
                let comparison = match best_epoch == epoch {
                    true => "the best so far".into(),
                    false => format!("no improvement since epoch {best_epoch} ({best:.1}%)"),
                };
                self.say(&format!(
                    "kNN, {branch}: {accuracy:.1}% after epoch {epoch}, {comparison}"
                ));
            }
            _ => {}
        }
    }

    fn stop_requested(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}
