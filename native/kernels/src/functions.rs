//! Functions of vectors of singles: exponentials, logarithms and what is made of them.
//!
//! Arguments are brought into a small interval, where a polynomial does; its coefficients were
//! fitted to the exact function (iteratively reweighted least squares at Chebyshev nodes).
//! What is no number gives what is no number.
//!
//! Errors against double precision, which tests hold them to, in units in the last place where the
//! result is a normal number: `exp` 3, `expm1` and `log` 4, `tanh`, `erf`, `sigmoid` and `softplus`
//! 6, `mish` 10; `gelu` 1.2e-7 · max(1, |x|).

use crate::simd::Simd;

/// Beyond these, e to the x is infinite or zero.
const EXP_HIGHEST: f32 = 89.0;
const EXP_LOWEST: f32 = -104.0;
/// ln 2 as a sum, the first part with so few bits that its multiples are exact.
const LN_2_HIGH: f32 = 0.693_145_75;
const LN_2_LOW: f32 = 1.428_606_8e-6;
/// (eʳ - 1 - r) / r² for |r| up to ln 2 / 2, from the highest power down.
const EXP: [f32; 6] =
    [1.979_022_3e-4, 1.394_474_8e-3, 8.333_498e-3, 4.166_629e-2, 0.166_666_66, 0.5];
/// erf(x) / x for x up to 1, in powers of x².
const ERF_NEAR: [f32; 8] = [
    -9.680_136e-6,
    1.127_054_4e-4,
    -8.484_711e-4,
    5.221_075e-3,
    -2.686_544_5e-2,
    0.112_837_83,
    -0.376_126_38,
    std::f32::consts::FRAC_2_SQRT_PI,
];
/// -ln(1 - erf(x)) for x from 1 to 4.
const ERF_FAR: [f32; 8] = [
    2.168_685e-5,
    -4.413_363_6e-4,
    4.204_562e-3,
    -2.520_825_7e-2,
    0.108_418_58,
    0.633_219_9,
    1.129_578_5,
    -1.880_402_3e-4,
];
/// From here on erf is 1.
const ERF_ONE: f32 = 4.0;
/// From here on tanh is 1, and so is that of the softplus.
const TANH_ONE: f32 = 10.0;
const MISH_LINEAR: f32 = 20.0;

/// Evaluates a polynomial by Horner's rule.
#[inline(always)]
unsafe fn polynomial<S: Simd, const N: usize>(x: S::V, coefficients: [f32; N]) -> S::V {
    // SAFETY: the caller has the instruction set.
    unsafe {
        let mut sum = S::splat(coefficients[0]);
        for coefficient in &coefficients[1..] {
            sum = S::multiply_add(sum, x, S::splat(*coefficient));
        }
        sum
    }
}

/// Returns n and eʳ - 1 with x = n · ln 2 + r.
#[inline(always)]
unsafe fn reduced_exp<S: Simd>(x: S::V) -> (S::V, S::V) {
    // SAFETY: the caller has the instruction set.
    unsafe {
        let x = S::min(S::splat(EXP_HIGHEST), S::max(S::splat(EXP_LOWEST), x));
        let n = S::round(S::mul(x, S::splat(std::f32::consts::LOG2_E)));
        let r = S::multiply_add(n, S::splat(-LN_2_HIGH), x);
        let r = S::multiply_add(n, S::splat(-LN_2_LOW), r);
        let square = S::mul(r, r);
        (n, S::multiply_add(square, polynomial::<S, 6>(r, EXP), r))
    }
}

/// eˣ
#[inline(always)]
pub unsafe fn exp<S: Simd>(x: S::V) -> S::V {
    // SAFETY: the caller has the instruction set.
    unsafe {
        let (n, less_one) = reduced_exp::<S>(x);
        S::scale(S::add(less_one, S::splat(1.0)), n)
    }
}

/// eˣ - 1
#[inline(always)]
pub unsafe fn expm1<S: Simd>(x: S::V) -> S::V {
    // SAFETY: the caller has the instruction set.
    unsafe {
        let (n, less_one) = reduced_exp::<S>(x);
        let one = S::splat(1.0);
        S::add(S::scale(less_one, n), S::sub(S::scale(one, n), one))
    }
}

/// ln x
#[inline(always)]
pub unsafe fn log<S: Simd>(x: S::V) -> S::V {
    // SAFETY: the caller has the instruction set.
    unsafe {
        let (one, zero, infinity) = (S::splat(1.0), S::splat(0.0), S::splat(f32::INFINITY));
        let smallest = S::splat(f32::MIN_POSITIVE);
        let scaled = S::mul(x, S::splat(8_388_608.0)); // 2²³, for numbers that are not normal
        let shift = S::select_less(x, smallest, S::splat(-23.0), zero);
        let (fraction, n) = S::split(S::select_less(x, smallest, scaled, x));
        // The fraction from √½ to √2.
        let root = S::splat(std::f32::consts::SQRT_2);
        let half = S::mul(fraction, S::splat(0.5));
        let up = S::select_less(root, fraction, one, zero);
        let fraction = S::select_less(root, fraction, half, fraction);
        let n = S::add(S::add(n, shift), up);
        // ln((1 + s) / (1 - s)) = 2 (s + s³ / 3 + s⁵ / 5 + …)
        let f = S::sub(fraction, one);
        let s = S::div(f, S::add(f, S::splat(2.0)));
        let square = S::mul(s, s);
        let series = polynomial::<S, 4>(square, [2.0 / 9.0, 2.0 / 7.0, 2.0 / 5.0, 2.0 / 3.0]);
        let tail = S::mul(S::mul(s, square), series);
        let low = S::multiply_add(n, S::splat(LN_2_LOW), tail);
        // 2 s = f - s · f, of which f is exact.
        let near = S::sub(low, S::mul(s, f));
        let result = S::add(S::multiply_add(n, S::splat(LN_2_HIGH), f), near);
        let result = S::select_less(x, infinity, result, x);
        let below = S::select_less(x, zero, S::splat(f32::NAN), S::sub(x, infinity));
        S::select_less(zero, x, result, below)
    }
}

/// ln(1 + x) for x from 0 to 1
#[inline(always)]
unsafe fn log1p<S: Simd>(x: S::V) -> S::V {
    // SAFETY: the caller has the instruction set.
    unsafe {
        let one = S::splat(1.0);
        let sum = S::add(one, x);
        let lost = S::sub(x, S::sub(sum, one));
        S::add(log::<S>(sum), S::div(lost, sum))
    }
}

/// 1 / (1 + e⁻ˣ)
#[inline(always)]
pub unsafe fn sigmoid<S: Simd>(x: S::V) -> S::V {
    // SAFETY: the caller has the instruction set.
    unsafe {
        let one = S::splat(1.0);
        S::div(one, S::add(one, exp::<S>(S::sub(S::splat(0.0), x))))
    }
}

/// ln(1 + eˣ)
#[inline(always)]
pub unsafe fn softplus<S: Simd>(x: S::V) -> S::V {
    // SAFETY: the caller has the instruction set.
    unsafe {
        let falling = exp::<S>(S::sub(S::splat(0.0), S::magnitude(x)));
        S::add(S::max(S::splat(0.0), x), log1p::<S>(falling))
    }
}

/// The hyperbolic tangent.
#[inline(always)]
pub unsafe fn tanh<S: Simd>(x: S::V) -> S::V {
    // SAFETY: the caller has the instruction set.
    unsafe {
        let magnitude = S::min(S::splat(TANH_ONE), S::magnitude(x));
        let rising = expm1::<S>(S::add(magnitude, magnitude));
        S::with_sign(S::div(rising, S::add(rising, S::splat(2.0))), x)
    }
}

/// The error function.
#[inline(always)]
pub unsafe fn erf<S: Simd>(x: S::V) -> S::V {
    // SAFETY: the caller has the instruction set.
    unsafe {
        let magnitude = S::magnitude(x);
        let near = S::mul(x, polynomial::<S, 8>(S::mul(x, x), ERF_NEAR));
        let bounded = S::min(S::splat(ERF_ONE), magnitude);
        let exponent = polynomial::<S, 8>(bounded, ERF_FAR);
        let far = S::sub(S::splat(1.0), exp::<S>(S::sub(S::splat(0.0), exponent)));
        S::select_less(magnitude, S::splat(1.0), near, S::with_sign(far, x))
    }
}

/// x · (1 + erf(x / √2)) / 2
#[inline(always)]
pub unsafe fn gelu<S: Simd>(x: S::V) -> S::V {
    // SAFETY: the caller has the instruction set.
    unsafe {
        let curve = erf::<S>(S::mul(x, S::splat(std::f32::consts::FRAC_1_SQRT_2)));
        S::mul(S::mul(x, S::splat(0.5)), S::add(curve, S::splat(1.0)))
    }
}

/// x · tanh(softplus(x)), which is x · n / (n + 2) with n = eˣ · (eˣ + 2)
#[inline(always)]
pub unsafe fn mish<S: Simd>(x: S::V) -> S::V {
    // SAFETY: the caller has the instruction set.
    unsafe {
        let (power, two) = (exp::<S>(S::min(S::splat(MISH_LINEAR), x)), S::splat(2.0));
        let n = S::mul(power, S::add(power, two));
        S::mul(x, S::div(n, S::add(n, two)))
    }
}
