//! Chains that draw in rounds: after each, what all of them have is judged, and they go on or end.
//!
//! Every chain has a thread of its own, as a walk cannot be moved to another, and so many of them
//! work at a time as there may be threads. What a chain draws depends on neither.

use crate::sampler::ChainRun;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// From what chains have drawn to how many draws each goes on to; they end where it has as many.
pub type Judge = Box<dyn Fn(&[&ChainRun]) -> usize + Send + Sync>;

/// How often a chain that waits looks whether all are told to stop.
const LOOK: Duration = Duration::from_millis(50);

pub struct Rounds {
    judge: Judge,
    table: Mutex<Table>,
    changed: Condvar,
}

#[derive(Default)]
struct Table {
    /// Chains that have not ended, and those among them that wait for the end of the round.
    present: usize,
    waiting: usize,
    /// What these have drawn.
    drawn: Vec<Option<ChainRun>>,
    /// Rounds that were judged, and the draws at which the next ends.
    judged: usize,
    until: usize,
    /// Threads that may work and do not.
    idle: usize,
}

impl Rounds {
    pub fn new(judge: Judge) -> Self {
        Self { judge, table: Mutex::default(), changed: Condvar::new() }
    }

    /// Before chains begin: how many there are, and how many work at the same time.
    pub fn begin(&self, chains: usize, threads: usize) {
        let mut table = self.table();
        let drawn = (0..chains).map(|_| None).collect();
        let (judged, until) = (table.judged, table.until);
        *table = Table {
            present: chains,
            drawn,
            judged,
            until,
            idle: threads.max(1),
            ..Table::default()
        };
    }

    /// Draws at which the last round ended, if there was one.
    pub fn reached(&self) -> usize {
        self.table().until
    }

    /// Wait until there is a thread to work with.
    pub fn enter(&self, stop: &AtomicBool) {
        drop(self.take_thread(self.table(), stop));
    }

    /// A chain has ended, whatever the reason.
    pub fn leave(&self) {
        let mut table = self.table();
        table.present = table.present.saturating_sub(1);
        table.idle += 1;
        self.changed.notify_all();
    }

    /// A chain has all draws of a round; waits for the others, the last of which has them judged.
    /// Returns the draws to go on to.
    pub fn next(&self, chain: usize, run: &mut ChainRun, stop: &AtomicBool) -> usize {
        let mut table = self.table();
        let judged = table.judged;
        if let Some(place) = table.drawn.get_mut(chain) {
            *place = Some(std::mem::take(run));
        }
        table.waiting += 1;
        table.idle += 1;
        self.changed.notify_all();
        while table.judged == judged && !stop.load(Relaxed) {
            if table.waiting == table.present {
                let drawn: Vec<&ChainRun> = table.drawn.iter().flatten().collect();
                table.until = (self.judge)(&drawn);
                table.judged += 1;
                table.waiting = 0;
                self.changed.notify_all();
            } else {
                table = self.wait(table);
            }
        }
        table = self.take_thread(table, stop);
        if let Some(own) = table.drawn.get_mut(chain).and_then(Option::take) {
            *run = own;
        }
        table.until
    }

    fn take_thread<'a>(
        &'a self,
        mut table: MutexGuard<'a, Table>,
        stop: &AtomicBool,
    ) -> MutexGuard<'a, Table> {
        while table.idle == 0 && !stop.load(Relaxed) {
            table = self.wait(table);
        }
        table.idle = table.idle.saturating_sub(1);
        table
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, table: MutexGuard<'a, Table>) -> MutexGuard<'a, Table> {
        self.changed.wait_timeout(table, LOOK).unwrap_or_else(PoisonError::into_inner).0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sampler::{Kept, Plan, Watch, protected};

    const KEPT: Kept = Kept { energy: 0.0, logp: 0.0, diverging: false, depth: 0 };

    fn plan(threads: usize) -> Plan {
        Plan {
            chains: 4,
            draws: 3,
            warmup: 0,
            exact_warmup: true,
            seed: 1,
            threads,
            max_depth: 0,
            surrogate: true,
            design: None,
        }
    }

    /// Chains that count their draws, of which the second ends by itself after some.
    fn counted(threads: usize, ends: usize, judge: Judge) -> (Vec<ChainRun>, Watch) {
        let watch = Watch::new(4, Some(Rounds::new(judge)));
        let runs = protected(&plan(threads), &watch, |chain| {
            let (mut run, mut until) = (ChainRun::default(), 3);
            run.step_size = chain as f64;
            while run.kept < until || watch.goes_on(chain, &mut run, &mut until, 1).unwrap() {
                if chain == 1 && run.kept == ends {
                    assert!(ends != 2, "breaks down");
                    run.failure = Some("failed".into());
                    break;
                }
                run.keep(&[(10 * chain + run.kept) as f64], KEPT);
            }
            run
        });
        (runs, watch)
    }

    fn to_eight() -> Judge {
        Box::new(|runs| {
            let kept = runs[0].kept;
            assert!(runs.iter().all(|run| run.kept == kept && run.outputs.len() == kept));
            (kept + 2).min(8)
        })
    }

    #[test]
    fn chains_go_on_with_what_they_have_whatever_the_threads() {
        for threads in [1, 2, 3, 4, 9] {
            let (runs, watch) = counted(threads, usize::MAX, to_eight());
            for (chain, run) in runs.iter().enumerate() {
                let outputs: Vec<f64> = (0..8).map(|k| (10 * chain + k) as f64).collect();
                assert_eq!((run.kept, &run.outputs), (8, &outputs));
                assert_eq!(run.step_size, chain as f64);
            }
            assert_eq!(watch.rounds.unwrap().reached(), 8);
        }
    }

    #[test]
    fn chains_that_fail_or_break_down_are_not_waited_for() {
        for threads in [1, 2, 4] {
            for ends in [0, 2, 4] {
                let (runs, _) = counted(threads, ends, to_eight());
                let kept: Vec<usize> = runs.iter().map(|run| run.kept).collect();
                let own = [0, 0, 0, 0, 4][ends];
                assert_eq!(kept, [8, own, 8, 8], "{threads} {ends}");
                assert!(runs[1].failure.is_some());
            }
        }
    }

    #[test]
    fn all_end_when_told_to_stop() {
        let watch = Watch::new(4, Some(Rounds::new(Box::new(|runs| runs[0].kept + 1))));
        let runs = protected(&plan(2), &watch, |chain| {
            let (mut run, mut until) = (ChainRun::default(), 1);
            while run.kept < until || watch.goes_on(chain, &mut run, &mut until, 1).unwrap() {
                run.keep(&[0.0], KEPT);
                if chain == 2 && run.kept == 5 {
                    watch.stop.store(true, Relaxed);
                    break;
                }
            }
            run
        });
        assert!(runs.iter().all(|run| (4..=5).contains(&run.kept)));
    }
}
