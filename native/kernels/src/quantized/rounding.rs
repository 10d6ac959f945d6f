//! From pooled sums to bytes.

use crate::isa::Isa;
use crate::quantized::kernel::LANES;
use crate::quantized::transpose::Row;

/// Sums in steps of the output beyond this are beyond every byte.
const LARGEST: f32 = 1024.0;

/// The function of one instruction set that rounds.
#[derive(Clone, Copy, Debug)]
pub struct Rounding {
    round: unsafe fn(&[[f32; LANES]], f32, &mut [Row]),
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
    pub fn round(self, sums: &[[f32; LANES]], zero_point: u8, bytes: &mut [Row]) {
        // SAFETY: the processor has the instructions.
        unsafe { (self.round)(sums, f32::from(zero_point), bytes) }
    }
}

#[inline(always)]
fn round(sums: &[[f32; LANES]], zero_point: f32, bytes: &mut [Row]) {
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
unsafe fn round_avx2(sums: &[[f32; LANES]], zero_point: f32, bytes: &mut [Row]) {
    round(sums, zero_point, bytes);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
unsafe fn round_avx512(sums: &[[f32; LANES]], zero_point: f32, bytes: &mut [Row]) {
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
