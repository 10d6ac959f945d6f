//! Reductions as types, so that loops over vectors are compiled for each.

use crate::simd::Simd;

/// A reduction that takes in one slot after the other.
///
/// # Safety of all methods
/// The processor has the instruction set.
pub trait Pool<S: Simd> {
    /// What a slot contributes.
    unsafe fn prepare(slot: S::V) -> S::V;
    /// The next contribution and those before. As in ONNX Runtime, a maximum or minimum is no
    /// number where the first slot is none; later ones that are none are passed over.
    unsafe fn combine(next: S::V, all: S::V) -> S::V;
    /// The result for a number of slots.
    unsafe fn finish(all: S::V, window: usize) -> S::V;
}

/// The largest.
pub struct Max;
/// The smallest.
pub struct Min;
/// The sum.
pub struct Sum;
/// The arithmetic mean.
pub struct Mean;
/// The square root of the sum of squares.
pub struct L2;

macro_rules! pool {
    ($name:ty, |$slot:ident| $prepare:expr, $combine:ident, |$all:ident, $window:ident| $finish:expr) => {
        // SAFETY of the blocks: the caller has the instruction set.
        impl<S: Simd> Pool<S> for $name {
            #[inline(always)]
            unsafe fn prepare($slot: S::V) -> S::V {
                $prepare
            }

            #[inline(always)]
            unsafe fn combine(next: S::V, all: S::V) -> S::V {
                unsafe { S::$combine(next, all) }
            }

            #[inline(always)]
            unsafe fn finish($all: S::V, $window: usize) -> S::V {
                $finish
            }
        }
    };
}

#[expect(clippy::cast_precision_loss, reason = "windows are small")]
fn share(window: usize) -> f32 {
    1.0 / window as f32
}

pool!(Max, |slot| slot, max, |all, _window| all);
pool!(Min, |slot| slot, min, |all, _window| all);
pool!(Sum, |slot| slot, add, |all, _window| all);
pool!(Mean, |slot| slot, add, |all, window| unsafe { S::mul(all, S::splat(share(window))) });
pool!(L2, |slot| unsafe { S::mul(slot, slot) }, add, |all, _window| unsafe { S::sqrt(all) });
