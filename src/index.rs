//! Keys → codes from 0 in the order in which they came: open tables with linear steps.

use crate::parallel::in_parts;

/// Rows whose keys or texts are looked for at once.
const BLOCK: usize = 64;
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
    pub fn add(&mut self, keys: &[i64], threads: usize) -> Vec<i64> {
        let mut codes = self.find(keys, threads);
        for (code, &key) in codes.iter_mut().zip(keys) {
            if *code == NONE {
                *code = self.code(key);
            }
        }
        codes
    }

    /// The code of each key, −1 of those that are not known.
    pub fn find(&self, keys: &[i64], threads: usize) -> Vec<i64> {
        let mut found = keys.to_vec();
        in_parts(&mut found, threads, |_, some| {
            for block in some.chunks_mut(BLOCK) {
                self.find_block(block);
            }
        });
        found
    }

    /// Replace keys by their codes: reads that wait for memory stand side by side.
    fn find_block(&self, keys: &mut [i64]) {
        let mut first = [(0, NONE); BLOCK];
        for (slot, &key) in first.iter_mut().zip(&*keys) {
            *slot = self.slots[self.start(key)];
        }
        for (key, (known, code)) in keys.iter_mut().zip(first) {
            let here = code == NONE || known == *key;
            *key = if here { code } else { self.slots[self.place(*key)].1 };
        }
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

    /// Where the search for a key begins.
    fn start(&self, key: i64) -> usize {
        // The golden ratio spreads numbers in a row, and the shift those that differ in high bits.
        let mixed = ((key ^ (key >> 32)) as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        (mixed >> 32) as usize & (self.slots.len() - 1)
    }

    /// Where a key is, or would be.
    fn place(&self, key: i64) -> usize {
        let last = self.slots.len() - 1;
        let mut place = self.start(key);
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

/// Texts one after the other, as Arrow has them: where each ends, and the next begins.
pub struct Texts<'a> {
    pub bytes: &'a [u8],
    /// One more than there are texts.
    pub offsets: &'a [i64],
    /// Rows without a text, whose code is −1.
    pub missing: &'a [bool],
}

impl<'a> Texts<'a> {
    /// The texts of some rows with their hashes; None where a row has none.
    fn block(&self, first: usize) -> Result<Vec<Hashed<'a>>, OutOfBytes> {
        let one = |row: usize| {
            if self.missing[row] {
                return Ok(None);
            }
            let range = self.offsets[row] as usize..self.offsets[row + 1] as usize;
            let text = self.bytes.get(range).ok_or(OutOfBytes)?;
            Ok(Some((text, hash(text))))
        };
        (first..(first + BLOCK).min(self.missing.len())).map(one).collect()
    }
}

/// A text with its hash; None in a row without one.
type Hashed<'a> = Option<(&'a [u8], u64)>;

/// Offsets of texts that lead out of their bytes.
#[derive(Debug, PartialEq)]
pub struct OutOfBytes;

/// Texts that are known, and their codes.
#[derive(Clone, Debug)]
pub struct TextIndex {
    /// Hash and code; a power of two of them, at most half of them taken.
    slots: Vec<(u64, i64)>,
    bytes: Vec<u8>,
    /// Where each text ends; the first begins at 0.
    ends: Vec<i64>,
}

impl Default for TextIndex {
    fn default() -> Self {
        Self { slots: vec![(0, NONE); 1024], bytes: Vec::new(), ends: vec![0] }
    }
}

impl TextIndex {
    /// Known texts in the order of their codes: their bytes, and where each begins and ends.
    pub fn texts(&self) -> (&[u8], &[i64]) {
        (&self.bytes, &self.ends)
    }

    /// The code of each row's text; new ones get the next.
    pub fn add(&mut self, texts: &Texts) -> Result<Vec<i64>, OutOfBytes> {
        let mut codes = Vec::with_capacity(texts.missing.len());
        for first in (0..texts.missing.len()).step_by(BLOCK) {
            let block = texts.block(first)?;
            for (text, likely) in block.iter().zip(self.likely(&block)) {
                codes.push(match text {
                    Some((text, _)) if likely != NONE && self.text(likely) == *text => likely,
                    Some((text, hash)) => self.code(text, *hash),
                    None => NONE,
                });
            }
        }
        Ok(codes)
    }

    /// The code of each row's text, −1 of those that are not known.
    pub fn find(&self, texts: &Texts) -> Result<Vec<i64>, OutOfBytes> {
        let mut codes = Vec::with_capacity(texts.missing.len());
        for first in (0..texts.missing.len()).step_by(BLOCK) {
            let block = texts.block(first)?;
            for (text, likely) in block.iter().zip(self.likely(&block)) {
                codes.push(match text {
                    Some((text, _)) if likely != NONE && self.text(likely) == *text => likely,
                    Some((text, hash)) => self.slots[self.place(text, *hash)].1,
                    None => NONE,
                });
            }
        }
        Ok(codes)
    }

    /// The first text with the hash of each of some rows: reads that wait for memory side by side.
    fn likely(&self, block: &[Hashed]) -> Vec<i64> {
        let last = self.slots.len() - 1;
        let one = |hash: u64| {
            let mut place = hash as usize & last;
            while self.slots[place].1 != NONE && self.slots[place].0 != hash {
                place = (place + 1) & last;
            }
            self.slots[place].1
        };
        block.iter().map(|row| row.map_or(NONE, |(_, hash)| one(hash))).collect()
    }

    fn code(&mut self, text: &[u8], hash: u64) -> i64 {
        let place = self.place(text, hash);
        if self.slots[place].1 != NONE {
            return self.slots[place].1;
        }
        let code = self.ends.len() as i64 - 1;
        self.slots[place] = (hash, code);
        self.bytes.extend_from_slice(text);
        self.ends.push(self.bytes.len() as i64);
        if 2 * self.ends.len() > self.slots.len() {
            self.widen();
        }
        code
    }

    /// Where a text is, or would be.
    fn place(&self, text: &[u8], hash: u64) -> usize {
        let last = self.slots.len() - 1;
        let mut place = hash as usize & last;
        loop {
            let (known, code) = self.slots[place];
            if code == NONE || (known == hash && self.text(code) == text) {
                return place;
            }
            place = (place + 1) & last;
        }
    }

    fn text(&self, code: i64) -> &[u8] {
        let code = code as usize;
        &self.bytes[self.ends[code] as usize..self.ends[code + 1] as usize]
    }

    fn widen(&mut self) {
        let known = std::mem::take(&mut self.slots);
        self.slots = vec![(0, NONE); 4 * known.len()];
        let last = self.slots.len() - 1;
        for slot in known.into_iter().filter(|slot| slot.1 != NONE) {
            let mut place = slot.0 as usize & last;
            while self.slots[place].1 != NONE {
                place = (place + 1) & last;
            }
            self.slots[place] = slot;
        }
    }
}

/// Mix the bytes of a text, eight at a time.
fn hash(text: &[u8]) -> u64 {
    let mix = |state: u64, word: u64| {
        let product = (state ^ word).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        product ^ (product >> 29)
    };
    let (words, rest) = text.as_chunks::<8>();
    let mut state = words.iter().fold(text.len() as u64, |h, w| mix(h, u64::from_le_bytes(*w)));
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    state = mix(state, u64::from_le_bytes(last));
    state ^ (state >> 32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_get_codes_in_the_order_in_which_they_came() {
        let mut index = KeyIndex::default();
        assert_eq!(index.add(&[7, -3, 7, i64::MIN, 0], 2), [0, 1, 0, 2, 3]);
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
            assert_eq!(index.add(&keys, 2), codes);
            assert_eq!(index.add(&keys, 1), codes);
            assert_eq!(index.find(&keys, 3), codes);
        }
    }

    #[test]
    fn texts_get_codes_in_the_order_in_which_they_came() {
        let words: Vec<String> =
            (0..5000).map(|k| format!("{}-{}", "x".repeat(k % 23), k)).collect();
        let bytes: Vec<u8> = words.concat().into_bytes();
        let mut offsets = vec![0];
        for word in &words {
            offsets.push(offsets[offsets.len() - 1] + word.len() as i64);
        }
        let mut missing = vec![false; words.len()];
        missing[7] = true;
        let texts = Texts { bytes: &bytes, offsets: &offsets, missing: &missing };
        let mut index = TextIndex::default();
        let codes: Vec<i64> =
            (0..5000).map(|k| if k == 7 { -1 } else { k - i64::from(k > 7) }).collect();
        assert_eq!(index.add(&texts), Ok(codes.clone()));
        assert_eq!(index.add(&texts), Ok(codes.clone()));
        assert_eq!(index.find(&texts), Ok(codes));
        assert_eq!(index.texts().1.len(), 5000);
        let other = Texts { bytes: b"newx-1", offsets: &[0, 3, 6], missing: &[false; 2] };
        assert_eq!(index.find(&other), Ok(vec![-1, 1]));
        let broken = Texts { bytes: b"new", offsets: &[0, 30], missing: &[false] };
        assert_eq!(index.find(&broken), Err(OutOfBytes));
        let backward = Texts { bytes: b"new", offsets: &[2, 1], missing: &[false] };
        assert_eq!(index.add(&backward), Err(OutOfBytes));
    }
}
