//! Cross-channel pooling of a block of pixels.

use crate::pool::{L2, Max, Mean, Min, Pool, Sum};
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
    /// Output rows, valid for one row for each group; none of those in `wide`.
    pub out: *mut f32,
    /// Values in a row, a multiple of the vector's.
    pub pixels: usize,
    /// Distance of output rows.
    pub out_stride: usize,
}

/// Reduces every group of slots.
///
/// # Safety
/// The processor has the instruction set, and the pointers are valid as described.
#[inline(always)]
pub unsafe fn pool_channels<S: Simd>(pooling: &Pooling<'_>) {
    // SAFETY: as the caller promises.
    unsafe {
        match pooling.reduction {
            Reduction::Max => fold_slots::<S, Max>(pooling),
            Reduction::Min => fold_slots::<S, Min>(pooling),
            Reduction::Sum => fold_slots::<S, Sum>(pooling),
            Reduction::Mean => fold_slots::<S, Mean>(pooling),
            Reduction::L2 => fold_slots::<S, L2>(pooling),
            Reduction::Ordinal(weights) if pooling.window <= SORTED_IN_VECTORS => {
                weigh_sorted::<S>(pooling, weights);
            }
            Reduction::Ordinal(weights) => weigh_ranked(pooling, weights),
        }
    }
}

#[inline(always)]
unsafe fn fold_slots<S: Simd, P: Pool<S>>(pooling: &Pooling<'_>) {
    let (window, pixels) = (pooling.window, pooling.pixels);
    for group in 0..pooling.slots.len() / window {
        let slots = &pooling.slots[group * window..(group + 1) * window];
        let mut pixel = 0;
        while pixel < pixels {
            // SAFETY: row and pixel lie inside of what the caller promises.
            unsafe {
                let mut all = P::prepare(S::load(pooling.wide.add(slots[0] * pixels + pixel)));
                for &slot in &slots[1..] {
                    let value = S::load(pooling.wide.add(slot * pixels + pixel));
                    all = P::combine(P::prepare(value), all);
                }
                S::store(
                    pooling.out.add(group * pooling.out_stride + pixel),
                    P::finish(all, window),
                );
            }
            pixel += S::LANES;
        }
    }
}

/// Sorts by exchanging neighbours, all pixels of a vector at once.
#[inline(always)]
unsafe fn weigh_sorted<S: Simd>(pooling: &Pooling<'_>, weights: &[f32]) {
    let (window, pixels) = (pooling.window, pooling.pixels);
    for group in 0..pooling.slots.len() / window {
        let slots = &pooling.slots[group * window..(group + 1) * window];
        let mut pixel = 0;
        while pixel < pixels {
            // SAFETY: row and pixel lie inside of what the caller promises.
            unsafe {
                let mut ranked = [S::splat(0.0); SORTED_IN_VECTORS];
                for (place, &slot) in ranked.iter_mut().zip(slots) {
                    *place = S::load(pooling.wide.add(slot * pixels + pixel));
                }
                for end in (1..window).rev() {
                    for i in 0..end {
                        let (upper, lower) = (ranked[i], ranked[i + 1]);
                        // In this order, what is no number stays where it is.
                        ranked[i] = S::max(lower, upper);
                        ranked[i + 1] = S::min(upper, lower);
                    }
                }
                let mut sum = S::splat(0.0);
                for (&value, &weight) in ranked.iter().zip(weights) {
                    sum = S::multiply_add(value, S::splat(weight), sum);
                }
                S::store(pooling.out.add(group * pooling.out_stride + pixel), sum);
            }
            pixel += S::LANES;
        }
    }
}

/// Sorts pixel by pixel: for groups of any size.
unsafe fn weigh_ranked(pooling: &Pooling<'_>, weights: &[f32]) {
    let mut ranked = vec![0.0_f32; pooling.window];
    for (group, slots) in pooling.slots.chunks_exact(pooling.window).enumerate() {
        for pixel in 0..pooling.pixels {
            // SAFETY: row and pixel lie inside of what the caller promises.
            unsafe {
                for (place, &slot) in ranked.iter_mut().zip(slots) {
                    *place = *pooling.wide.add(slot * pooling.pixels + pixel);
                }
                ranked.sort_by(|a, b| b.total_cmp(a));
                let weighted = ranked.iter().zip(weights).map(|(value, weight)| value * weight);
                *pooling.out.add(group * pooling.out_stride + pixel) = weighted.sum();
            }
        }
    }
}
