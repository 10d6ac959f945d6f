//! AVX2 with fused multiply-add.

use std::arch::x86_64::{
    __m256, __m256i, _CMP_LT_OQ, _CMP_ORD_Q, _MM_FROUND_NO_EXC, _MM_FROUND_TO_NEAREST_INT,
    _mm256_add_epi32, _mm256_add_ps, _mm256_and_ps, _mm256_and_si256, _mm256_andnot_ps,
    _mm256_blendv_ps, _mm256_castpd_ps, _mm256_castps_pd, _mm256_castps_si256, _mm256_castsi256_ps,
    _mm256_ceil_ps, _mm256_cmp_ps, _mm256_cvtepi32_ps, _mm256_cvtps_epi32, _mm256_div_ps,
    _mm256_floor_ps, _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_max_ps, _mm256_min_ps, _mm256_mul_ps,
    _mm256_or_ps, _mm256_or_si256, _mm256_permute2f128_ps, _mm256_round_ps, _mm256_set1_epi32,
    _mm256_set1_ps, _mm256_slli_epi32, _mm256_sqrt_ps, _mm256_srai_epi32, _mm256_srli_epi32,
    _mm256_storeu_ps, _mm256_sub_epi32, _mm256_sub_ps, _mm256_unpackhi_pd, _mm256_unpackhi_ps,
    _mm256_unpacklo_pd, _mm256_unpacklo_ps,
};

use super::{Simd, wrappers::one_instruction_each};

/// Returns 2ⁿ for exponents of normal numbers.
#[inline(always)]
unsafe fn power_of_two(n: __m256i) -> __m256 {
    // SAFETY: the caller has the instruction set.
    unsafe {
        let biased = _mm256_add_epi32(n, _mm256_set1_epi32(127));
        _mm256_castsi256_ps(_mm256_slli_epi32::<23>(biased))
    }
}

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
        div: _mm256_div_ps,
    }

    #[inline(always)]
    unsafe fn floor(a: Self::V) -> Self::V {
        unsafe { _mm256_floor_ps(a) }
    }

    #[inline(always)]
    unsafe fn ceil(a: Self::V) -> Self::V {
        unsafe { _mm256_ceil_ps(a) }
    }

    #[inline(always)]
    unsafe fn round(a: Self::V) -> Self::V {
        unsafe { _mm256_round_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(a) }
    }

    #[inline(always)]
    unsafe fn magnitude(a: Self::V) -> Self::V {
        unsafe { _mm256_andnot_ps(_mm256_set1_ps(-0.0), a) }
    }

    #[inline(always)]
    unsafe fn with_sign(a: Self::V, sign: Self::V) -> Self::V {
        unsafe {
            let mask = _mm256_set1_ps(-0.0);
            _mm256_or_ps(_mm256_andnot_ps(mask, a), _mm256_and_ps(mask, sign))
        }
    }

    #[inline(always)]
    unsafe fn select_less(a: Self::V, b: Self::V, yes: Self::V, no: Self::V) -> Self::V {
        unsafe { _mm256_blendv_ps(no, yes, _mm256_cmp_ps::<_CMP_LT_OQ>(a, b)) }
    }

    #[inline(always)]
    unsafe fn select_number(a: Self::V, yes: Self::V, no: Self::V) -> Self::V {
        unsafe { _mm256_blendv_ps(no, yes, _mm256_cmp_ps::<_CMP_ORD_Q>(a, a)) }
    }

    #[inline(always)]
    unsafe fn scale(a: Self::V, n: Self::V) -> Self::V {
        unsafe {
            // In two steps, each within the exponents of normal numbers.
            let whole = _mm256_cvtps_epi32(n);
            let first = _mm256_srai_epi32::<1>(whole);
            let second = _mm256_sub_epi32(whole, first);
            _mm256_mul_ps(_mm256_mul_ps(a, power_of_two(first)), power_of_two(second))
        }
    }

    #[inline(always)]
    unsafe fn split(a: Self::V) -> (Self::V, Self::V) {
        unsafe {
            let bits = _mm256_castps_si256(a);
            let exponent = _mm256_sub_epi32(_mm256_srli_epi32::<23>(bits), _mm256_set1_epi32(127));
            let fraction = _mm256_and_si256(bits, _mm256_set1_epi32(0x007F_FFFF));
            let fraction = _mm256_or_si256(fraction, _mm256_set1_epi32(0x3F80_0000));
            (_mm256_castsi256_ps(fraction), _mm256_cvtepi32_ps(exponent))
        }
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
