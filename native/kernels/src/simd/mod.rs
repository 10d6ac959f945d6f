//! Vectors of singles, one type for each instruction set.
//!
//! Everything written over [`Simd`] is marked `#[inline(always)]` and called from functions that
//! enable the instruction set, so that it is compiled once for each.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod portable;
#[cfg(target_arch = "x86_64")]
mod wrappers;

#[cfg(target_arch = "x86_64")]
pub use avx2::Avx2;
#[cfg(target_arch = "x86_64")]
pub use avx512::Avx512;
pub use portable::Portable;

/// A vector of singles and what can be done with it.
///
/// # Safety of all methods
/// The processor must have the instruction set; pointers must be valid for [`Simd::LANES`] values.
pub trait Simd: Copy + 'static {
    /// Values in a vector.
    const LANES: usize;
    /// The vector.
    type V: Copy;

    /// Reads a vector.
    unsafe fn load(from: *const f32) -> Self::V;
    /// Writes a vector.
    unsafe fn store(to: *mut f32, value: Self::V);
    /// Repeats a value.
    unsafe fn splat(value: f32) -> Self::V;
    /// a + b
    unsafe fn add(a: Self::V, b: Self::V) -> Self::V;
    /// a - b
    unsafe fn sub(a: Self::V, b: Self::V) -> Self::V;
    /// a · b
    unsafe fn mul(a: Self::V, b: Self::V) -> Self::V;
    /// The larger of each pair; `b` where one of them is no number, or both are zeros.
    unsafe fn max(a: Self::V, b: Self::V) -> Self::V;
    /// The smaller of each pair; `b` where one of them is no number, or both are zeros.
    unsafe fn min(a: Self::V, b: Self::V) -> Self::V;
    /// a / b
    unsafe fn div(a: Self::V, b: Self::V) -> Self::V;
    /// Rounds down to a whole number.
    unsafe fn floor(a: Self::V) -> Self::V;
    /// Rounds up to a whole number.
    unsafe fn ceil(a: Self::V) -> Self::V;
    /// Rounds to the nearest whole number, ties to the even one.
    unsafe fn round(a: Self::V) -> Self::V;
    /// |a|
    unsafe fn magnitude(a: Self::V) -> Self::V;
    /// The magnitude of `a` with the sign of `sign`.
    unsafe fn with_sign(a: Self::V, sign: Self::V) -> Self::V;
    /// `yes` where a < b, `no` elsewhere, also where one of them is no number.
    unsafe fn select_less(a: Self::V, b: Self::V, yes: Self::V, no: Self::V) -> Self::V;
    /// `yes` where `a` is a number, `no` where it is none.
    unsafe fn select_number(a: Self::V, yes: Self::V, no: Self::V) -> Self::V;
    /// a · 2ⁿ, for whole n from -252 to 252; where n is no number, neither must be a.
    unsafe fn scale(a: Self::V, n: Self::V) -> Self::V;
    /// Takes positive normal numbers apart: m from 1 to below 2 and whole n with a = m · 2ⁿ.
    unsafe fn split(a: Self::V) -> (Self::V, Self::V);
    /// a · b + c
    unsafe fn multiply_add(a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// The square root of each value.
    unsafe fn sqrt(a: Self::V) -> Self::V;
    /// Brings a cache line closer; any address will do.
    unsafe fn prefetch(from: *const f32);
    /// Transposes a square of [`Simd::LANES`] rows; both strides are distances of rows.
    unsafe fn transpose(from: *const f32, stride: usize, to: *mut f32, to_stride: usize);
}
