//! AVX2 with fused multiply-add.

use std::arch::x86_64::{
    __m256, _mm256_add_ps, _mm256_castpd_ps, _mm256_castps_pd, _mm256_fmadd_ps, _mm256_loadu_ps,
    _mm256_max_ps, _mm256_min_ps, _mm256_mul_ps, _mm256_permute2f128_ps, _mm256_set1_ps,
    _mm256_sqrt_ps, _mm256_storeu_ps, _mm256_sub_ps, _mm256_unpackhi_pd, _mm256_unpackhi_ps,
    _mm256_unpacklo_pd, _mm256_unpacklo_ps,
};

use super::{Simd, wrappers::one_instruction_each};

/// Vectors of eight singles.
#[derive(Clone, Copy)]
pub struct Avx2;

// SAFETY of every block: the caller has the instruction set and valid pointers, as the trait asks.
impl Simd for Avx2 {
    const LANES: usize = 8;
    type V = __m256;

    one_instruction_each! {
        load: _mm256_loadu_ps,
        store: _mm256_storeu_ps,
        splat: _mm256_set1_ps,
        add: _mm256_add_ps,
        sub: _mm256_sub_ps,
        mul: _mm256_mul_ps,
        max: _mm256_max_ps,
        min: _mm256_min_ps,
        multiply_add: _mm256_fmadd_ps,
        sqrt: _mm256_sqrt_ps,
    }

    #[inline(always)]
    unsafe fn transpose(from: *const f32, stride: usize, to: *mut f32, to_stride: usize) {
        unsafe {
            // Pairs, then fours of rows within each half; then halves change places.
            let mut fours = [_mm256_set1_ps(0.0); 8];
            for four in 0..2 {
                let row = from.add(4 * four * stride);
                let (a, b) = (Self::load(row), Self::load(row.add(stride)));
                let row = row.add(2 * stride);
                let (c, d) = (Self::load(row), Self::load(row.add(stride)));
                let low = _mm256_castps_pd(_mm256_unpacklo_ps(a, b));
                let high = _mm256_castps_pd(_mm256_unpackhi_ps(a, b));
                let low_2 = _mm256_castps_pd(_mm256_unpacklo_ps(c, d));
                let high_2 = _mm256_castps_pd(_mm256_unpackhi_ps(c, d));
                fours[4 * four] = _mm256_castpd_ps(_mm256_unpacklo_pd(low, low_2));
                fours[4 * four + 1] = _mm256_castpd_ps(_mm256_unpackhi_pd(low, low_2));
                fours[4 * four + 2] = _mm256_castpd_ps(_mm256_unpacklo_pd(high, high_2));
                fours[4 * four + 3] = _mm256_castpd_ps(_mm256_unpackhi_pd(high, high_2));
            }
            for i in 0..4 {
                let (a, b) = (fours[i], fours[4 + i]);
                Self::store(to.add(i * to_stride), _mm256_permute2f128_ps::<0x20>(a, b));
                Self::store(to.add((4 + i) * to_stride), _mm256_permute2f128_ps::<0x31>(a, b));
            }
        }
    }
}
