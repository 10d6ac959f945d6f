//! Plain Rust, for every processor.

use super::Simd;

const LANES: usize = 4;
const MANTISSA_BITS: u32 = 23;

/// Vectors of four singles, which the compiler maps to what the processor has.
#[derive(Clone, Copy)]
pub struct Portable;

#[inline(always)]
fn zip(a: [f32; LANES], b: [f32; LANES], f: impl Fn(f32, f32) -> f32) -> [f32; LANES] {
    std::array::from_fn(|i| f(a[i], b[i]))
}

/// Returns a · 2ⁿ, in two steps, each within the exponents of normal numbers.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "n is small and whole")]
fn scaled(a: f32, n: f32) -> f32 {
    let first = (n / 2.0).floor();
    let power = |n: f32| f32::from_bits(((n as i32 + 127) as u32) << MANTISSA_BITS);
    a * power(first) * power(n - first)
}

fn fraction(a: f32) -> f32 {
    f32::from_bits(a.to_bits() & 0x007F_FFFF | 0x3F80_0000)
}

fn exponent(a: f32) -> f32 {
    let biased = (a.to_bits() >> MANTISSA_BITS) & 0xFF;
    #[expect(clippy::cast_precision_loss, reason = "eight bits")]
    let biased = biased as f32;
    biased - 127.0
}

// SAFETY of the blocks: the caller has valid pointers, as the trait asks.
impl Simd for Portable {
    const LANES: usize = LANES;
    type V = [f32; LANES];

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self::V {
        unsafe { from.cast::<Self::V>().read_unaligned() }
    }

    #[inline(always)]
    unsafe fn store(to: *mut f32, value: Self::V) {
        unsafe { to.cast::<Self::V>().write_unaligned(value) }
    }

    #[inline(always)]
    unsafe fn splat(value: f32) -> Self::V {
        [value; LANES]
    }

    #[inline(always)]
    unsafe fn add(a: Self::V, b: Self::V) -> Self::V {
        zip(a, b, |a, b| a + b)
    }

    #[inline(always)]
    unsafe fn sub(a: Self::V, b: Self::V) -> Self::V {
        zip(a, b, |a, b| a - b)
    }

    #[inline(always)]
    unsafe fn mul(a: Self::V, b: Self::V) -> Self::V {
        zip(a, b, |a, b| a * b)
    }

    #[inline(always)]
    unsafe fn max(a: Self::V, b: Self::V) -> Self::V {
        zip(a, b, |a, b| if a > b { a } else { b })
    }

    #[inline(always)]
    unsafe fn min(a: Self::V, b: Self::V) -> Self::V {
        zip(a, b, |a, b| if a < b { a } else { b })
    }

    #[inline(always)]
    unsafe fn div(a: Self::V, b: Self::V) -> Self::V {
        zip(a, b, |a, b| a / b)
    }

    #[inline(always)]
    unsafe fn floor(a: Self::V) -> Self::V {
        a.map(f32::floor)
    }

    #[inline(always)]
    unsafe fn ceil(a: Self::V) -> Self::V {
        a.map(f32::ceil)
    }

    #[inline(always)]
    unsafe fn round(a: Self::V) -> Self::V {
        a.map(f32::round_ties_even)
    }

    #[inline(always)]
    unsafe fn magnitude(a: Self::V) -> Self::V {
        a.map(f32::abs)
    }

    #[inline(always)]
    unsafe fn with_sign(a: Self::V, sign: Self::V) -> Self::V {
        zip(a, sign, f32::copysign)
    }

    #[inline(always)]
    unsafe fn select_less(a: Self::V, b: Self::V, yes: Self::V, no: Self::V) -> Self::V {
        std::array::from_fn(|i| if a[i] < b[i] { yes[i] } else { no[i] })
    }

    #[inline(always)]
    unsafe fn select_number(a: Self::V, yes: Self::V, no: Self::V) -> Self::V {
        std::array::from_fn(|i| if a[i].is_nan() { no[i] } else { yes[i] })
    }

    #[inline(always)]
    unsafe fn scale(a: Self::V, n: Self::V) -> Self::V {
        zip(a, n, scaled)
    }

    #[inline(always)]
    unsafe fn split(a: Self::V) -> (Self::V, Self::V) {
        (a.map(fraction), a.map(exponent))
    }

    #[inline(always)]
    unsafe fn multiply_add(a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        std::array::from_fn(|i| a[i] * b[i] + c[i])
    }

    #[inline(always)]
    unsafe fn sqrt(a: Self::V) -> Self::V {
        a.map(f32::sqrt)
    }

    #[inline(always)]
    unsafe fn prefetch(_from: *const f32) {}

    #[inline(always)]
    unsafe fn transpose(from: *const f32, stride: usize, to: *mut f32, to_stride: usize) {
        for row in 0..LANES {
            for column in 0..LANES {
                unsafe { *to.add(column * to_stride + row) = *from.add(row * stride + column) };
            }
        }
    }
}
