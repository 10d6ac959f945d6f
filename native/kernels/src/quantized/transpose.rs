//! Squares of bytes with rows and columns exchanged.

/// Rows and columns of a square.
pub const SIDE: usize = 16;

/// A row of a square.
pub type Row = [u8; SIDE];

/// Returns the columns of up to 16 rows; four times, the two halves are merged byte by byte.
#[cfg(target_arch = "x86_64")]
#[inline]
pub fn transposed(square: &[Row; SIDE]) -> [Row; SIDE] {
    use std::arch::x86_64::{
        _mm_loadu_si128, _mm_setzero_si128, _mm_storeu_si128, _mm_unpackhi_epi8, _mm_unpacklo_epi8,
    };
    let mut result = [[0; SIDE]; SIDE];
    // SAFETY: every processor of this kind has the instructions, and each row holds a vector.
    unsafe {
        let mut rows = [_mm_setzero_si128(); SIDE];
        for (row, values) in rows.iter_mut().zip(square) {
            *row = _mm_loadu_si128(values.as_ptr().cast());
        }
        for _ in 0..4 {
            let halves = rows;
            for row in 0..SIDE / 2 {
                let (upper, lower) = (halves[row], halves[row + SIDE / 2]);
                rows[2 * row] = _mm_unpacklo_epi8(upper, lower);
                rows[2 * row + 1] = _mm_unpackhi_epi8(upper, lower);
            }
        }
        for (row, values) in rows.into_iter().zip(&mut result) {
            _mm_storeu_si128(values.as_mut_ptr().cast(), row);
        }
    }
    result
}

/// See the other one.
#[cfg(not(target_arch = "x86_64"))]
pub fn transposed(square: &[Row; SIDE]) -> [Row; SIDE] {
    std::array::from_fn(|row| std::array::from_fn(|column| square[column][row]))
}

/// Writes rows of 16 bytes as 16 columns, `pitch` apart.
pub fn to_columns(rows: &[Row], pitch: usize, columns: &mut [u8]) {
    let (squares, rest) = rows.as_chunks::<SIDE>();
    for (index, square) in squares.iter().enumerate() {
        for (column, values) in transposed(square).iter().enumerate() {
            columns[column * pitch + index * SIDE..][..SIDE].copy_from_slice(values);
        }
    }
    for (index, row) in rest.iter().enumerate() {
        for (column, &value) in row.iter().enumerate() {
            columns[column * pitch + squares.len() * SIDE + index] = value;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Row, SIDE, to_columns};

    #[test]
    fn rows_and_columns_change_places() {
        let byte = |number: usize| number.to_le_bytes()[0];
        let rows: Vec<Row> =
            (0..19).map(|row| std::array::from_fn(|column| byte(row * SIDE + column))).collect();
        let mut columns = vec![0; SIDE * 19];
        to_columns(&rows, 19, &mut columns);
        for column in 0..SIDE {
            for row in 0..19 {
                assert_eq!(columns[column * 19 + row], byte(row * SIDE + column));
            }
        }
    }
}
