//! The methods of [`Simd`](super::Simd) that are one instruction of x86 each.

/// Writes the methods of an `impl Simd` whose instructions are named.
macro_rules! one_instruction_each {
    (
        load: $load:path, store: $store:path, splat: $splat:path,
        add: $add:path, sub: $sub:path, mul: $mul:path, max: $max:path, min: $min:path,
        multiply_add: $multiply_add:path, sqrt: $sqrt:path, div: $div:path $(,)?
    ) => {
        #[inline(always)]
        unsafe fn load(from: *const f32) -> Self::V {
            unsafe { $load(from) }
        }

        #[inline(always)]
        unsafe fn store(to: *mut f32, value: Self::V) {
            unsafe { $store(to, value) }
        }

        #[inline(always)]
        unsafe fn splat(value: f32) -> Self::V {
            unsafe { $splat(value) }
        }

        #[inline(always)]
        unsafe fn add(a: Self::V, b: Self::V) -> Self::V {
            unsafe { $add(a, b) }
        }

        #[inline(always)]
        unsafe fn sub(a: Self::V, b: Self::V) -> Self::V {
            unsafe { $sub(a, b) }
        }

        #[inline(always)]
        unsafe fn mul(a: Self::V, b: Self::V) -> Self::V {
            unsafe { $mul(a, b) }
        }

        #[inline(always)]
        unsafe fn max(a: Self::V, b: Self::V) -> Self::V {
            unsafe { $max(a, b) }
        }

        #[inline(always)]
        unsafe fn min(a: Self::V, b: Self::V) -> Self::V {
            unsafe { $min(a, b) }
        }

        #[inline(always)]
        unsafe fn div(a: Self::V, b: Self::V) -> Self::V {
            unsafe { $div(a, b) }
        }

        #[inline(always)]
        unsafe fn multiply_add(a: Self::V, b: Self::V, c: Self::V) -> Self::V {
            unsafe { $multiply_add(a, b, c) }
        }

        #[inline(always)]
        unsafe fn sqrt(a: Self::V) -> Self::V {
            unsafe { $sqrt(a) }
        }

        #[inline(always)]
        unsafe fn prefetch(from: *const f32) {
            use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
            unsafe { _mm_prefetch::<_MM_HINT_T1>(from.cast()) }
        }
    };
}

pub(super) use one_instruction_each;
