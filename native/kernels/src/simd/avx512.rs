//! AVX-512.

use std::arch::x86_64::{
    __m512, _CMP_LT_OQ, _CMP_ORD_Q, _MM_FROUND_NO_EXC, _MM_FROUND_TO_NEAREST_INT,
    _MM_FROUND_TO_NEG_INF, _MM_FROUND_TO_POS_INF, _MM_MANT_NORM_1_2, _MM_MANT_SIGN_SRC,
    _mm512_abs_ps, _mm512_add_ps, _mm512_castpd_ps, _mm512_castps_pd, _mm512_castps_si512,
    _mm512_castsi512_ps, _mm512_cmp_ps_mask, _mm512_div_ps, _mm512_fmadd_ps, _mm512_getexp_ps,
    _mm512_getmant_ps, _mm512_loadu_ps, _mm512_mask_blend_ps, _mm512_max_ps, _mm512_min_ps,
    _mm512_mul_ps, _mm512_roundscale_ps, _mm512_scalef_ps, _mm512_set1_epi32, _mm512_set1_ps,
    _mm512_shuffle_f32x4, _mm512_sqrt_ps, _mm512_storeu_ps, _mm512_sub_ps,
    _mm512_ternarylogic_epi32, _mm512_unpackhi_pd, _mm512_unpackhi_ps, _mm512_unpacklo_pd,
    _mm512_unpacklo_ps,
};

use super::{Simd, wrappers::one_instruction_each};

/// Vectors of sixteen singles.
#[derive(Clone, Copy)]
pub struct Avx512;

// SAFETY of every block: the caller has the instruction set and valid pointers, as the trait asks.
impl Simd for Avx512 {
    const LANES: usize = 16;
    type V = __m512;

    one_instruction_each! {
        load: _mm512_loadu_ps,
        store: _mm512_storeu_ps,
        splat: _mm512_set1_ps,
        add: _mm512_add_ps,
        sub: _mm512_sub_ps,
        mul: _mm512_mul_ps,
        max: _mm512_max_ps,
        min: _mm512_min_ps,
        multiply_add: _mm512_fmadd_ps,
        sqrt: _mm512_sqrt_ps,
        div: _mm512_div_ps,
    }

    #[inline(always)]
    unsafe fn floor(a: Self::V) -> Self::V {
        unsafe { _mm512_roundscale_ps::<{ _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC }>(a) }
    }

    #[inline(always)]
    unsafe fn ceil(a: Self::V) -> Self::V {
        unsafe { _mm512_roundscale_ps::<{ _MM_FROUND_TO_POS_INF | _MM_FROUND_NO_EXC }>(a) }
    }

    #[inline(always)]
    unsafe fn round(a: Self::V) -> Self::V {
        unsafe { _mm512_roundscale_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(a) }
    }

    #[inline(always)]
    unsafe fn magnitude(a: Self::V) -> Self::V {
        unsafe { _mm512_abs_ps(a) }
    }

    #[inline(always)]
    unsafe fn with_sign(a: Self::V, sign: Self::V) -> Self::V {
        unsafe {
            let (a, sign) = (_mm512_castps_si512(a), _mm512_castps_si512(sign));
            // Each bit from the second where the first has one, else from the third.
            let mask = _mm512_set1_epi32(i32::MIN);
            _mm512_castsi512_ps(_mm512_ternarylogic_epi32::<0xCA>(mask, sign, a))
        }
    }

    #[inline(always)]
    unsafe fn select_less(a: Self::V, b: Self::V, yes: Self::V, no: Self::V) -> Self::V {
        unsafe { _mm512_mask_blend_ps(_mm512_cmp_ps_mask::<_CMP_LT_OQ>(a, b), no, yes) }
    }

    #[inline(always)]
    unsafe fn select_number(a: Self::V, yes: Self::V, no: Self::V) -> Self::V {
        unsafe { _mm512_mask_blend_ps(_mm512_cmp_ps_mask::<_CMP_ORD_Q>(a, a), no, yes) }
    }

    #[inline(always)]
    unsafe fn scale(a: Self::V, n: Self::V) -> Self::V {
        unsafe { _mm512_scalef_ps(a, n) }
    }

    #[inline(always)]
    unsafe fn split(a: Self::V) -> (Self::V, Self::V) {
        unsafe {
            let fraction = _mm512_getmant_ps::<_MM_MANT_NORM_1_2, _MM_MANT_SIGN_SRC>(a);
            (fraction, _mm512_getexp_ps(a))
        }
    }

    #[inline(always)]
    unsafe fn transpose(from: *const f32, stride: usize, to: *mut f32, to_stride: usize) {
        unsafe {
            // Pairs, then fours of rows within each quarter; then quarters change places.
            let mut fours = [_mm512_set1_ps(0.0); 16];
            for four in 0..4 {
                let row = from.add(4 * four * stride);
                let (a, b) = (Self::load(row), Self::load(row.add(stride)));
                let row = row.add(2 * stride);
                let (c, d) = (Self::load(row), Self::load(row.add(stride)));
                let low = _mm512_castps_pd(_mm512_unpacklo_ps(a, b));
                let high = _mm512_castps_pd(_mm512_unpackhi_ps(a, b));
                let low_2 = _mm512_castps_pd(_mm512_unpacklo_ps(c, d));
                let high_2 = _mm512_castps_pd(_mm512_unpackhi_ps(c, d));
                fours[4 * four] = _mm512_castpd_ps(_mm512_unpacklo_pd(low, low_2));
                fours[4 * four + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(low, low_2));
                fours[4 * four + 2] = _mm512_castpd_ps(_mm512_unpacklo_pd(high, high_2));
                fours[4 * four + 3] = _mm512_castpd_ps(_mm512_unpackhi_pd(high, high_2));
            }
            for i in 0..4 {
                let (a, b, c, d) = (fours[i], fours[4 + i], fours[8 + i], fours[12 + i]);
                let even = _mm512_shuffle_f32x4::<0x88>(a, b);
                let odd = _mm512_shuffle_f32x4::<0xdd>(a, b);
                let even_2 = _mm512_shuffle_f32x4::<0x88>(c, d);
                let odd_2 = _mm512_shuffle_f32x4::<0xdd>(c, d);
                let row = to.add(i * to_stride);
                Self::store(row, _mm512_shuffle_f32x4::<0x88>(even, even_2));
                Self::store(row.add(4 * to_stride), _mm512_shuffle_f32x4::<0x88>(odd, odd_2));
                Self::store(row.add(8 * to_stride), _mm512_shuffle_f32x4::<0xdd>(even, even_2));
                Self::store(row.add(12 * to_stride), _mm512_shuffle_f32x4::<0xdd>(odd, odd_2));
            }
        }
    }
}
