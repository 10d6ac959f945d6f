//! Cross-channel pooling of a block of pixels.

use crate::recipe::Reduction;
use crate::simd::Simd;

/// The largest group that is sorted in vectors.
const SORTED_IN_VECTORS: usize = 16;

/// Slots of a block of pixels and where their reductions go.
pub struct Pooling<'a> {
    /// What to compute.
    pub reduction: &'a Reduction,
    /// Slots of each group.
    pub window: usize,
    /// Row of each slot, `window` for each output row.
    pub slots: &'a [usize],
    /// Rows of wide values, valid for all rows in `slots`.
    pub wide: *const f32,
    /// Output rows, valid for one row for each group; may be `wide` itself if no row is read
    /// behind the group that writes it.
    pub out: *mut f32,
    /// Values in a row, a multiple of the vector's.
    pub pixels: usize,
}

/// Reduces every group of slots.
///
/// # Safety
/// The processor has the instruction set, and the pointers are valid as described.
#[inline(always)]
#[expect(clippy::inline_always, reason = "compiled into callers that enable the instructions")]
pub unsafe fn pool_channels<S: Simd>(pooling: &Pooling<'_>) {
    for (group, slots) in pooling.slots.chunks_exact(pooling.window).enumerate() {
        for pixel in (0..pooling.pixels).step_by(S::LANES) {
            // SAFETY: row and pixel lie inside of what the caller promises.
            unsafe {
                let value = |slot: usize| S::load(pooling.wide.add(slot * pooling.pixels + pixel));
                let reduced = reduce::<S>(pooling.reduction, slots, value);
                S::store(pooling.out.add(group * pooling.pixels + pixel), reduced);
            }
        }
    }
}

#[inline(always)]
#[expect(clippy::inline_always, reason = "compiled into callers that enable the instructions")]
#[expect(clippy::cast_precision_loss, reason = "windows are small")]
unsafe fn reduce<S: Simd>(
    reduction: &Reduction,
    slots: &[usize],
    value: impl Fn(usize) -> S::V,
) -> S::V {
    let rest = slots[1..].iter();
    let first = value(slots[0]);
    // SAFETY: the caller has the instruction set.
    unsafe {
        match reduction {
            Reduction::Max => rest.fold(first, |all, &slot| S::max(all, value(slot))),
            Reduction::Min => rest.fold(first, |all, &slot| S::min(all, value(slot))),
            Reduction::Sum => rest.fold(first, |all, &slot| S::add(all, value(slot))),
            Reduction::Mean => {
                let sum = rest.fold(first, |all, &slot| S::add(all, value(slot)));
                S::mul(sum, S::splat(1.0 / slots.len() as f32))
            }
            Reduction::L2 => {
                let square = |x| S::mul(x, x);
                let sum = rest.fold(square(first), |all, &slot| {
                    let x = value(slot);
                    S::multiply_add(x, x, all)
                });
                S::sqrt(sum)
            }
            Reduction::Ordinal(weights) if slots.len() <= SORTED_IN_VECTORS => {
                weigh_sorted::<S>(slots, weights, value)
            }
            Reduction::Ordinal(weights) => weigh_ranked::<S>(slots, weights, value),
        }
    }
}

/// Sorts by exchanging neighbours, all pixels of a vector at once.
#[inline(always)]
#[expect(clippy::inline_always, reason = "compiled into callers that enable the instructions")]
unsafe fn weigh_sorted<S: Simd>(
    slots: &[usize],
    weights: &[f32],
    value: impl Fn(usize) -> S::V,
) -> S::V {
    // SAFETY: the caller has the instruction set.
    unsafe {
        let mut ranked = [S::splat(0.0); SORTED_IN_VECTORS];
        for (place, &slot) in ranked.iter_mut().zip(slots) {
            *place = value(slot);
        }
        for end in (1..slots.len()).rev() {
            for i in 0..end {
                let (upper, lower) = (ranked[i], ranked[i + 1]);
                ranked[i] = S::max(upper, lower);
                ranked[i + 1] = S::min(upper, lower);
            }
        }
        let mut sum = S::splat(0.0);
        for (&value, &weight) in ranked.iter().zip(weights) {
            sum = S::multiply_add(value, S::splat(weight), sum);
        }
        sum
    }
}

/// Sorts pixel by pixel: for groups of any size.
#[inline(always)]
#[expect(clippy::inline_always, reason = "compiled into callers that enable the instructions")]
unsafe fn weigh_ranked<S: Simd>(
    slots: &[usize],
    weights: &[f32],
    value: impl Fn(usize) -> S::V,
) -> S::V {
    let mut columns = vec![0.0_f32; slots.len() * S::LANES];
    let mut sums = [0.0_f32; 16];
    // SAFETY: every row of `columns` and `sums` holds a vector.
    unsafe {
        for (&slot, row) in slots.iter().zip(columns.chunks_exact_mut(S::LANES)) {
            S::store(row.as_mut_ptr(), value(slot));
        }
        for (lane, sum) in sums.iter_mut().enumerate().take(S::LANES) {
            let mut ranked: Vec<f32> =
                columns.iter().skip(lane).step_by(S::LANES).copied().collect();
            ranked.sort_by(|a, b| b.total_cmp(a));
            *sum = ranked.iter().zip(weights).map(|(value, weight)| value * weight).sum();
        }
        S::load(sums.as_ptr())
    }
}
