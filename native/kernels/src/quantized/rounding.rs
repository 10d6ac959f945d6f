//! From pooled sums to bytes, and from the order pixel, channel to the order channel, pixel.

use crate::isa::Isa;
use crate::quantized::kernel::LANES;

/// Bytes of one pixel.
pub type Pixel = [u8; LANES];

/// Sums in steps of the output beyond this are beyond every byte.
const LARGEST: f32 = 1024.0;

/// The function of one instruction set that rounds.
#[derive(Clone, Copy, Debug)]
pub struct Rounding {
    round: unsafe fn(&[[f32; LANES]], f32, &mut [Pixel]),
}

impl Rounding {
    /// Picks the function for an instruction set, as far as the processor has it.
    pub fn new(isa: Isa) -> Self {
        #[cfg(target_arch = "x86_64")]
        match isa {
            Isa::Avx512 if isa.is_available() => return Self { round: round_avx512 },
            Isa::Avx512 | Isa::Avx2 if Isa::Avx2.is_available() => {
                return Self { round: round_avx2 };
            }
            _ => {}
        }
        let _ = isa;
        Self { round: |sums, zero_point, bytes| round(sums, zero_point, bytes) }
    }

    /// Rounds to the nearest byte; halves go to the even one, before the zero point is added.
    pub fn round(self, sums: &[[f32; LANES]], zero_point: u8, bytes: &mut [Pixel]) {
        // SAFETY: the processor has the instructions.
        unsafe { (self.round)(sums, f32::from(zero_point), bytes) }
    }
}

#[inline(always)]
fn round(sums: &[[f32; LANES]], zero_point: f32, bytes: &mut [Pixel]) {
    for (pixel, values) in bytes.iter_mut().zip(sums) {
        for lane in 0..LANES {
            let value = values[lane].clamp(-LARGEST, LARGEST).round_ties_even() + zero_point;
            #[expect(clippy::cast_possible_truncation, reason = "to the nearest byte")]
            #[expect(clippy::cast_sign_loss, reason = "to the nearest byte")]
            let byte = value as u8;
            pixel[lane] = byte;
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
unsafe fn round_avx2(sums: &[[f32; LANES]], zero_point: f32, bytes: &mut [Pixel]) {
    round(sums, zero_point, bytes);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
unsafe fn round_avx512(sums: &[[f32; LANES]], zero_point: f32, bytes: &mut [Pixel]) {
    use std::arch::x86_64::{
        _mm_storeu_si128, _mm512_add_epi32, _mm512_cvtps_epi32, _mm512_cvtusepi32_epi8,
        _mm512_loadu_ps, _mm512_max_epi32, _mm512_max_ps, _mm512_min_ps, _mm512_set1_ps,
        _mm512_setzero_si512,
    };
    let (low, high) = (_mm512_set1_ps(-LARGEST), _mm512_set1_ps(LARGEST));
    let zero_point = _mm512_cvtps_epi32(_mm512_set1_ps(zero_point));
    for (pixel, values) in bytes.iter_mut().zip(sums) {
        // SAFETY: both arrays hold a vector.
        unsafe {
            let value = _mm512_loadu_ps(values.as_ptr());
            let value = _mm512_min_ps(_mm512_max_ps(value, low), high);
            let whole = _mm512_add_epi32(_mm512_cvtps_epi32(value), zero_point);
            let whole = _mm512_max_epi32(whole, _mm512_setzero_si512());
            _mm_storeu_si128(pixel.as_mut_ptr().cast(), _mm512_cvtusepi32_epi8(whole));
        }
    }
}

/// Writes the bytes of a run of pixels to one row for each channel, `plane` apart.
pub fn transpose(pixels: &[Pixel], plane: usize, rows: &mut [u8]) {
    let whole = pixels.len() / LANES * LANES;
    for first in (0..whole).step_by(LANES) {
        let square = transposed(&pixels[first..first + LANES]);
        for (lane, values) in square.iter().enumerate() {
            rows[lane * plane + first..][..LANES].copy_from_slice(values);
        }
    }
    for (index, pixel) in pixels.iter().enumerate().skip(whole) {
        for (lane, &value) in pixel.iter().enumerate() {
            rows[lane * plane + index] = value;
        }
    }
}

/// Transposes a square: four times, the two halves are merged byte by byte.
#[cfg(target_arch = "x86_64")]
fn transposed(square: &[Pixel]) -> [Pixel; LANES] {
    use std::arch::x86_64::{
        _mm_loadu_si128, _mm_setzero_si128, _mm_storeu_si128, _mm_unpackhi_epi8, _mm_unpacklo_epi8,
    };
    let mut result = [[0; LANES]; LANES];
    // SAFETY: every processor of this kind has the instructions, and each row holds a vector.
    unsafe {
        let mut rows = [_mm_setzero_si128(); LANES];
        for (row, values) in rows.iter_mut().zip(square) {
            *row = _mm_loadu_si128(values.as_ptr().cast());
        }
        for _ in 0..4 {
            let halves = rows;
            for row in 0..LANES / 2 {
                let (upper, lower) = (halves[row], halves[row + LANES / 2]);
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

#[cfg(not(target_arch = "x86_64"))]
fn transposed(square: &[Pixel]) -> [Pixel; LANES] {
    std::array::from_fn(|lane| std::array::from_fn(|pixel| square[pixel][lane]))
}

#[cfg(test)]
mod tests {
    use super::{LANES, Pixel, transpose};

    #[test]
    fn rows_and_columns_change_places() {
        let byte = |number: usize| number.to_le_bytes()[0];
        let pixels: Vec<Pixel> =
            (0..19).map(|pixel| std::array::from_fn(|lane| byte(pixel * LANES + lane))).collect();
        let mut rows = vec![0; LANES * 19];
        transpose(&pixels, 19, &mut rows);
        for lane in 0..LANES {
            for pixel in 0..19 {
                assert_eq!(rows[lane * 19 + pixel], byte(pixel * LANES + lane));
            }
        }
    }
}
