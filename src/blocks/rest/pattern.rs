//! Which entries S has, which its factor, and where each of them lies: found once.

use crate::blocks::products::Products;
use faer::dyn_stack::{MemBuffer, MemStack};
use faer::sparse::SymbolicSparseColMatRef;
use faer::sparse::linalg::amd;
use faer::sparse::linalg::cholesky::simplicial::{
    SymbolicSimplicialCholesky, factorize_simplicial_symbolic_cholesky,
    factorize_simplicial_symbolic_cholesky_scratch, prefactorize_symbolic_cholesky,
    prefactorize_symbolic_cholesky_scratch,
};

/// The lower triangle of S by columns, in the order of the model; the upper triangle of S and its
/// factor in an order in which the factor has few entries.
#[derive(Clone, Debug)]
pub struct Pattern {
    pub n: usize,
    pub starts: Vec<usize>,
    pub rows: Vec<u32>,
    /// Where each entry lies in the other order's upper triangle, and in the factor.
    pub upper: Vec<u32>,
    pub in_factor: Vec<u32>,
    /// Of each column its place in the other order.
    pub place: Vec<usize>,
    pub upper_starts: Vec<usize>,
    pub upper_rows: Vec<usize>,
    pub symbolic: SymbolicSimplicialCholesky<usize>,
    /// For each level of the lead: where its positions begin; and the entries of S that its pairs of
    /// links fall upon, column by column.
    pub level_starts: Vec<usize>,
    pub positions: Vec<u32>,
    /// Of each row, its entries left of the diagonal: where they lie, and their columns.
    pub left_starts: Vec<usize>,
    pub left: Vec<(u32, u32)>,
    /// Blocks of S: pairs of levels.
    pub blocks: Vec<Block>,
}

/// One block of the lower triangle: of which factors, its first row and column, and where each of
/// its columns begins.
#[derive(Clone, Debug)]
pub struct Block {
    pub row_factor: usize,
    pub column_factor: usize,
    pub diagonal: bool,
    pub starts: Vec<u32>,
}

impl Pattern {
    /// The pattern of S; `None` where a dense matrix does better.
    pub fn of(data: &Products) -> Option<Self> {
        if data.n_rest <= super::FEW {
            return None;
        }
        let (starts, rows) = lower(data);
        let n = data.n_rest;
        let dense = n as f64 * (n as f64 + 1.0) / 2.0;
        if rows.len() as f64 > super::FULL * dense {
            return None;
        }
        let place = order(n, &starts, &rows)?;
        let (upper_starts, upper_rows) = permuted(&starts, &rows, &place);
        let symbolic = analyse(n, &upper_starts, &upper_rows)?;
        if symbolic.len_val() as f64 > super::FULL * dense {
            return None;
        }
        let mut pattern = Self {
            n,
            starts,
            rows,
            upper: Vec::new(),
            in_factor: Vec::new(),
            place,
            upper_starts,
            upper_rows,
            symbolic,
            level_starts: Vec::new(),
            positions: Vec::new(),
            left_starts: Vec::new(),
            left: Vec::new(),
            blocks: Vec::new(),
        };
        pattern.locate();
        pattern.look_left();
        pattern.follow(data);
        pattern.find_blocks(data);
        Some(pattern)
    }

    /// Where an entry of the lower triangle lies; `None` where S has none.
    #[inline(always)]
    pub fn at(&self, row: usize, column: usize) -> Option<usize> {
        let (row, column) = (row.max(column), row.min(column));
        let range = self.starts[column]..self.starts[column + 1];
        let found = self.rows[range.clone()].binary_search(&(row as u32));
        found.ok().map(|k| range.start + k)
    }

    pub fn operations(&self) -> f64 {
        self.symbolic.col_ptr().windows(2).map(|at| ((at[1] - at[0]) as f64).powi(2)).sum()
    }

    pub fn bytes(&self) -> f64 {
        (24 * self.rows.len() + 16 * self.symbolic.len_val() + 4 * self.positions.len()) as f64
    }

    /// Find every entry in the upper triangle of the other order, and in the factor.
    fn locate(&mut self) {
        let (heads, below) = (self.symbolic.col_ptr(), self.symbolic.row_idx());
        let within = |starts: &[usize], rows: &[usize], column: usize, row: usize| {
            let first = starts[column];
            let found = rows[first..starts[column + 1]].binary_search(&row);
            (first + found.unwrap_or(0)) as u32
        };
        for c in 0..self.n {
            for &r in &self.rows[self.starts[c]..self.starts[c + 1]] {
                let (a, b) = (self.place[c], self.place[r as usize]);
                let (low, high) = (a.min(b), a.max(b));
                self.upper.push(within(&self.upper_starts, &self.upper_rows, high, low));
                self.in_factor.push(within(heads, below, low, high));
            }
        }
    }

    fn look_left(&mut self) {
        let mut entries: Vec<Vec<(u32, u32)>> = vec![Vec::new(); self.n];
        for c in 0..self.n {
            for at in self.starts[c]..self.starts[c + 1] {
                let row = self.rows[at] as usize;
                if row > c {
                    entries[row].push((at as u32, c as u32));
                }
            }
        }
        self.left_starts.push(0);
        for row in &entries {
            self.left_starts.push(self.left_starts[self.left_starts.len() - 1] + row.len());
        }
        self.left = entries.concat();
    }

    /// Find the entries that each level of the lead falls upon.
    fn follow(&mut self, data: &Products) {
        self.level_starts.push(0);
        for level in 0..data.lead().n_levels {
            let columns = &data.linked[data.links(level)];
            for (k, &column) in columns.iter().enumerate() {
                for &row in &columns[k..] {
                    let at = self.at(row as usize, column as usize);
                    self.positions.push(at.unwrap_or(0) as u32);
                }
            }
            self.level_starts.push(self.positions.len());
        }
    }

    fn find_blocks(&mut self, data: &Products) {
        for (position, &k) in data.others.iter().enumerate() {
            let factor = &data.factors[k];
            for level in 0..factor.n_levels {
                let first = factor.columns(level).start;
                let mut at = self.starts[first];
                while at < self.starts[first + 1] {
                    let row = self.rows[at] as usize;
                    let own = |&&h: &&usize| data.factors[h].offset <= row;
                    let h = data.others[position..].iter().rev().find(own).copied().unwrap_or(k);
                    let starts = (0..factor.q).map(|c| {
                        // A diagonal block lacks what is above.
                        let from = if row == first { row + c } else { row };
                        self.at(from, first + c).unwrap_or(0) as u32
                    });
                    let starts = starts.collect();
                    let diagonal = row == first;
                    self.blocks.push(Block { row_factor: h, column_factor: k, diagonal, starts });
                    at += data.factors[h].q;
                }
            }
        }
    }
}

/// The lower triangle of S: rows of each column, in order.
fn lower(data: &Products) -> (Vec<usize>, Vec<u32>) {
    let n = data.n_rest;
    let mut levels: Vec<Vec<u32>> = vec![Vec::new(); n];
    for level in 0..data.lead().n_levels {
        for &column in &data.linked[data.links(level)] {
            levels[column as usize].push(level as u32);
        }
    }
    let mut beside: Vec<Vec<u32>> = vec![Vec::new(); n];
    for &(row, column) in &data.pairs {
        let (q, p) = (data.q_at(row as usize), data.q_at(column as usize));
        for c in 0..p {
            beside[column as usize + c].extend((0..q).map(|r| row + r as u32));
        }
    }
    for &k in &data.others {
        let factor = &data.factors[k];
        for level in 0..factor.n_levels {
            let at = factor.columns(level);
            for column in at.clone() {
                beside[column].extend((column..at.end).map(|row| row as u32));
            }
        }
    }
    let mut seen = vec![u32::MAX; n];
    let (mut starts, mut rows) = (vec![0], Vec::new());
    for column in 0..n {
        let first = rows.len();
        let mut put = |row: u32, rows: &mut Vec<u32>| {
            if row as usize >= column && seen[row as usize] != column as u32 {
                seen[row as usize] = column as u32;
                rows.push(row);
            }
        };
        for &row in &beside[column] {
            put(row, &mut rows);
        }
        for &level in &levels[column] {
            for &row in &data.linked[data.links(level as usize)] {
                put(row, &mut rows);
            }
        }
        rows[first..].sort_unstable();
        starts.push(rows.len());
    }
    (starts, rows)
}

/// The place of each column in an order in which the factor has few entries.
fn order(n: usize, starts: &[usize], rows: &[u32]) -> Option<Vec<usize>> {
    let rows: Vec<usize> = rows.iter().map(|&row| row as usize).collect();
    let matrix = SymbolicSparseColMatRef::new_checked(n, n, starts, None, &rows);
    let (mut perm, mut place) = (vec![0; n], vec![0; n]);
    let mut scratch = MemBuffer::new(amd::order_scratch::<usize>(n, rows.len()));
    let stack = MemStack::new(&mut scratch);
    amd::order(&mut perm, &mut place, matrix, Default::default(), stack).ok()?;
    Some(place)
}

/// The upper triangle in the other order.
fn permuted(starts: &[usize], rows: &[u32], place: &[usize]) -> (Vec<usize>, Vec<usize>) {
    let n = place.len();
    let mut columns: Vec<Vec<usize>> = vec![Vec::new(); n];
    for c in 0..n {
        for &r in &rows[starts[c]..starts[c + 1]] {
            let (a, b) = (place[c], place[r as usize]);
            columns[a.max(b)].push(a.min(b));
        }
    }
    let mut heads = vec![0];
    for column in &mut columns {
        column.sort_unstable();
        heads.push(heads[heads.len() - 1] + column.len());
    }
    (heads, columns.concat())
}

fn analyse(
    n: usize,
    starts: &[usize],
    rows: &[usize],
) -> Option<SymbolicSimplicialCholesky<usize>> {
    let matrix = SymbolicSparseColMatRef::new_checked(n, n, starts, None, rows);
    let (mut tree, mut counts) = (vec![0isize; n], vec![0usize; n]);
    let needed = prefactorize_symbolic_cholesky_scratch::<usize>(n, rows.len());
    let more = factorize_simplicial_symbolic_cholesky_scratch::<usize>(n);
    let mut scratch = MemBuffer::new(needed.or(more));
    let stack = MemStack::new(&mut scratch);
    let tree = prefactorize_symbolic_cholesky(&mut tree, &mut counts, matrix, stack);
    let stack = MemStack::new(&mut scratch);
    factorize_simplicial_symbolic_cholesky(matrix, tree, &counts, stack).ok()
}
