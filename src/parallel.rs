//! Work that is split over threads by its items: what an item gets does not depend on how many
//! threads there are.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Call `work` with the items that a thread takes, and the position of the first of them.
pub fn in_parts<T: Send>(items: &mut [T], threads: usize, work: impl Fn(usize, &mut [T]) + Sync) {
    let share = items.len().div_ceil(threads.max(1)).max(1);
    if share >= items.len() {
        return work(0, items);
    }
    std::thread::scope(|scope| {
        for (k, part) in items.chunks_mut(share).enumerate() {
            let work = &work;
            scope.spawn(move || work(k * share, part));
        }
    });
}

/// Call `work` with each of the items, which workers take one after another: each has a thread and
/// what it keeps of its own. Of more workers than items, the last have none.
pub fn shared_out<W: Send, T: Send>(
    items: &mut [T],
    workers: &mut [W],
    work: impl Fn(&mut W, usize, &mut T) + Sync,
) {
    let needed = workers.len().min(items.len());
    let workers = &mut workers[..needed];
    let left = Mutex::new(items.iter_mut().enumerate());
    let next = || left.lock().ok().and_then(|mut left| left.next());
    let all = |worker: &mut W| {
        while let Some((k, item)) = next() {
            work(worker, k, item);
        }
    };
    std::thread::scope(|scope| {
        let Some((own, others)) = workers.split_first_mut() else { return };
        for worker in others {
            scope.spawn(|| all(worker));
        }
        all(own);
    });
}

/// What `work` gives for each of so many items, which threads take one after another.
pub fn one_by_one<T: Default + Send>(
    count: usize,
    threads: usize,
    work: impl Fn(usize) -> T + Sync,
) -> Vec<T> {
    let next = AtomicUsize::new(0);
    let results: Vec<Mutex<T>> = (0..count).map(|_| Mutex::default()).collect();
    std::thread::scope(|scope| {
        for _ in 0..threads.clamp(1, count.max(1)) {
            scope.spawn(|| {
                loop {
                    let item = next.fetch_add(1, Relaxed);
                    let Some(slot) = results.get(item) else { break };
                    let result = work(item);
                    if let Ok(mut slot) = slot.lock() {
                        *slot = result;
                    }
                }
            });
        }
    });
    results.into_iter().map(|slot| slot.into_inner().unwrap_or_default()).collect()
}

/// Threads that this machine has.
pub fn all_threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_item_is_worked_on_once() {
        for n_workers in 1..4 {
            let (mut items, mut workers) = ((0..9).collect::<Vec<usize>>(), vec![0; n_workers]);
            shared_out(&mut items, &mut workers, |count, k, item| {
                *count += 1;
                *item += 10 * k;
            });
            assert_eq!(items, (0..9).map(|k| 11 * k).collect::<Vec<_>>());
            assert_eq!(workers.iter().sum::<usize>(), 9);
        }
    }

    #[test]
    fn results_stand_in_the_order_of_their_items() {
        let squares: Vec<usize> = (0..7).map(|k| k * k).collect();
        for threads in [0, 1, 3, 20] {
            assert_eq!(one_by_one(7, threads, |k| k * k), squares);
        }
        assert!(one_by_one(0, 2, |k| k).is_empty() && all_threads() > 0);
    }
}
