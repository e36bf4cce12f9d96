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
