//! Work that is split over threads by its items: what an item gets does not depend on how many
//! threads there are.

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
