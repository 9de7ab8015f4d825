//! How far it is: a bar where standard error is a terminal, else a line now and then.

use std::time::Duration;

use indicatif::{HumanCount, HumanDuration, ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::time::{Instant, Interval, interval_at};

/// How often a line tells how far it is.
const TOLD_EVERY: Duration = Duration::from_secs(10);

/// How far it is.
pub struct Progress {
    noun: String,
    bar: ProgressBar,
    ticks: Interval,
}

impl Progress {
    /// Of so many things, which are called this.
    pub fn new(things: usize, noun: &str) -> Self {
        let template = format!("{{wide_bar}} {{human_pos}}/{{human_len}} {noun}, {{per_sec}}, {{eta}} to go{{msg}}");
        let bar = ProgressBar::with_draw_target(Some(things as u64), ProgressDrawTarget::stderr());
        bar.set_style(ProgressStyle::with_template(&template).expect("the template is well formed"));
        Self { noun: noun.to_owned(), bar, ticks: interval_at(Instant::now() + TOLD_EVERY, TOLD_EVERY) }
    }

    /// One more is done; so many have failed by now.
    pub fn advance(&self, failed: usize) {
        if failed > 0 {
            self.bar.set_message(format!(", {} failed", HumanCount(failed as u64)));
        }
        self.bar.inc(1);
    }

    /// Tells a line when it is time for the next, where there is no bar.
    pub async fn tell(&mut self) {
        self.ticks.tick().await;
        if self.bar.is_hidden() {
            let Self { noun, bar, .. } = self;
            let (done, all) = (HumanCount(bar.position()), HumanCount(bar.length().unwrap_or_default()));
            let to_go = HumanDuration(bar.eta());
            eprintln!("rekollect: {done} of {all} {noun}{}, {:.1}/s, {to_go} to go", bar.message(), bar.per_sec());
        }
    }

    /// Says something, above the bar where there is one.
    pub fn say(&self, text: &str) {
        self.bar.suspend(|| eprintln!("rekollect: {text}"));
    }

    /// Takes the bar away.
    pub fn end(&self) {
        self.bar.finish_and_clear();
    }
}
