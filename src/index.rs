//! Whole numbers → codes from 0 in the order in which they came: an open table with linear steps.

use crate::parallel::in_parts;

/// Stands where no code is.
const NONE: i64 = -1;

/// Keys that are known, and their codes.
#[derive(Clone, Debug)]
pub struct KeyIndex {
    /// Key and code; a power of two of them, at most half of them taken.
    slots: Vec<(i64, i64)>,
    keys: Vec<i64>,
}

impl Default for KeyIndex {
    fn default() -> Self {
        Self { slots: vec![(0, NONE); 1024], keys: Vec::new() }
    }
}

impl KeyIndex {
    /// Known keys in the order of their codes.
    pub fn keys(&self) -> &[i64] {
        &self.keys
    }

    /// The code of each key; new ones get the next.
    pub fn add(&mut self, keys: &[i64]) -> Vec<i64> {
        keys.iter().map(|&key| self.code(key)).collect()
    }

    /// The code of each key, −1 of those that are not known.
    pub fn find(&self, keys: &[i64], threads: usize) -> Vec<i64> {
        let mut found = keys.to_vec();
        in_parts(&mut found, threads, |_, some| {
            some.iter_mut().for_each(|key| *key = self.slots[self.place(*key)].1);
        });
        found
    }

    fn code(&mut self, key: i64) -> i64 {
        let place = self.place(key);
        if self.slots[place].1 != NONE {
            return self.slots[place].1;
        }
        let code = self.keys.len() as i64;
        self.slots[place] = (key, code);
        self.keys.push(key);
        if 2 * self.keys.len() > self.slots.len() {
            self.widen();
        }
        code
    }

    /// Where a key is, or would be.
    fn place(&self, key: i64) -> usize {
        let last = self.slots.len() - 1;
        // The golden ratio spreads numbers in a row, and the shift those that differ in high bits.
        let mixed = ((key ^ (key >> 32)) as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let mut place = (mixed >> 32) as usize & last;
        while self.slots[place].1 != NONE && self.slots[place].0 != key {
            place = (place + 1) & last;
        }
        place
    }

    fn widen(&mut self) {
        self.slots = vec![(0, NONE); 4 * self.slots.len()];
        for code in 0..self.keys.len() {
            let place = self.place(self.keys[code]);
            self.slots[place] = (self.keys[code], code as i64);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_get_codes_in_the_order_in_which_they_came() {
        let mut index = KeyIndex::default();
        assert_eq!(index.add(&[7, -3, 7, i64::MIN, 0]), [0, 1, 0, 2, 3]);
        assert_eq!(index.find(&[0, 5, -3], 2), [3, -1, 1]);
        assert_eq!(index.keys(), [7, -3, i64::MIN, 0]);
    }

    #[test]
    fn many_keys_of_any_pattern_stay_apart() {
        let patterns: [fn(i64) -> i64; 4] =
            [|k| k, |k| k << 32, |k| k * 1_000_003 - 5, |k| (k << 40) ^ k];
        for pattern in patterns {
            let keys: Vec<i64> = (0..20_000).map(pattern).collect();
            let mut index = KeyIndex::default();
            let codes: Vec<i64> = (0..20_000).collect();
            assert_eq!(index.add(&keys), codes);
            assert_eq!(index.find(&keys, 3), codes);
        }
    }
}
