//! The innermost loops of the quantized convolution: pixels × vectors of filters.

use crate::isa::Isa;

/// Filters in a vector.
pub const LANES: usize = 16;
/// Channels in a word, whose products are added at once.
pub const CHANNELS_IN_WORD: usize = 4;
/// Vectors of filters that one call computes at most.
pub const VECTORS: usize = 4;
/// Pixels that one call computes at most.
pub const PIXELS: usize = 13;

/// Returns how many pixels one call computes at most, for a number of vectors: all sums stay in
/// registers.
pub fn pixels_in_call(vectors: usize) -> usize {
    match vectors {
        1 | 2 => PIXELS,
        3 => 8,
        _ => 6,
    }
}

/// A few pixels of a row times a few vectors of filters.
pub struct Products<'a> {
    /// Words of the first pixel; valid at each tap of each pixel.
    pub source: *const [u8; CHANNELS_IN_WORD],
    /// Distance of pixels, in words.
    pub pixel_stride: usize,
    /// Distance of each tap from the pixel, in words.
    pub taps: &'a [usize],
    /// Words to sum over at each tap.
    pub words: usize,
    /// Weights: tap, word, vector, filter.
    pub weights: *const [i8; CHANNELS_IN_WORD],
    /// What sums start from.
    pub bias: *const i32,
    /// From sums to steps of the output.
    pub scales: *const f32,
    /// Pixels, at most [`pixels_in_call`].
    pub pixels: usize,
    /// Vectors, at most [`VECTORS`].
    pub vectors: usize,
    /// Keep the smallest instead of the largest.
    pub smallest: bool,
    /// Whether to start from what `out` holds.
    pub resume: bool,
    /// The largest or smallest of each lane over all vectors, one vector for each pixel.
    pub out: *mut [f32; LANES],
}

/// The functions of one instruction set.
#[derive(Clone, Copy, Debug)]
pub struct Kernel {
    multiply: unsafe fn(&Products<'_>),
}

impl Kernel {
    /// Picks the functions for an instruction set, as far as the processor has it.
    pub fn new(isa: Isa) -> Self {
        #[cfg(target_arch = "x86_64")]
        if isa == Isa::Avx512 && vnni::is_available() {
            return Self { multiply: vnni::multiply };
        }
        #[cfg(target_arch = "x86_64")]
        if isa != Isa::Portable && Isa::Avx2.is_available() {
            return Self { multiply: multiply_avx2 };
        }
        Self { multiply }
    }

    /// Computes products, scales them and pools the vectors.
    ///
    /// # Safety
    /// The pointers are valid as described.
    pub unsafe fn multiply(self, products: &Products<'_>) {
        // SAFETY: as the caller promises; the processor has the instructions.
        unsafe { (self.multiply)(products) }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
unsafe fn multiply_avx2(products: &Products<'_>) {
    // SAFETY: as the caller promises.
    unsafe { multiply(products) }
}

/// Plain Rust, for every processor.
#[inline(always)]
unsafe fn multiply(products: &Products<'_>) {
    for pixel in 0..products.pixels {
        for vector in 0..products.vectors {
            // SAFETY: the pointers are valid for all pixels, taps, words and vectors.
            unsafe {
                let mut sums = *products.bias.add(vector * LANES).cast::<[i32; LANES]>();
                for (index, tap) in products.taps.iter().enumerate() {
                    for word in 0..products.words {
                        let at = pixel * products.pixel_stride + tap + word;
                        let inputs = (*products.source.add(at)).map(i32::from);
                        let row = (index * products.words + word) * products.vectors + vector;
                        for (lane, sum) in sums.iter_mut().enumerate() {
                            let weights =
                                (*products.weights.add(row * LANES + lane)).map(i32::from);
                            for channel in 0..CHANNELS_IN_WORD {
                                *sum += inputs[channel] * weights[channel];
                            }
                        }
                    }
                }
                pool(products, pixel, vector, &sums);
            }
        }
    }
}

#[inline(always)]
#[expect(clippy::cast_precision_loss, reason = "as ONNX Runtime rounds")]
unsafe fn pool(products: &Products<'_>, pixel: usize, vector: usize, sums: &[i32; LANES]) {
    // SAFETY: `out` has a vector for each pixel, and `scales` one for each vector.
    let (out, scales) = unsafe {
        (
            &mut *products.out.add(pixel),
            &*products.scales.add(vector * LANES).cast::<[f32; LANES]>(),
        )
    };
    let first = vector == 0 && !products.resume;
    for lane in 0..LANES {
        let value = sums[lane] as f32 * scales[lane];
        let better = if products.smallest { value < out[lane] } else { value > out[lane] };
        if first || better {
            out[lane] = value;
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod vnni {
    //! AVX-512 with products of bytes.

    use std::arch::x86_64::{
        _mm512_cvtepi32_ps, _mm512_dpbusd_epi32, _mm512_loadu_ps, _mm512_loadu_si512,
        _mm512_max_ps, _mm512_min_ps, _mm512_mul_ps, _mm512_set1_epi32, _mm512_setzero_si512,
        _mm512_storeu_ps,
    };

    use super::{LANES, PIXELS, Products, VECTORS};

    /// Tells whether the processor has the instructions.
    pub fn is_available() -> bool {
        is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512vnni")
    }

    /// See [`super::multiply`].
    #[target_feature(enable = "avx512f,avx512vnni")]
    pub unsafe fn multiply(products: &Products<'_>) {
        // SAFETY: as the caller promises.
        unsafe {
            match products.vectors {
                1 => by_pixels::<1>(products),
                2 => by_pixels::<2>(products),
                3 => by_pixels::<3>(products),
                _ => by_pixels::<VECTORS>(products),
            }
        }
    }

    #[target_feature(enable = "avx512f,avx512vnni")]
    unsafe fn by_pixels<const N: usize>(products: &Products<'_>) {
        // SAFETY: as the caller promises.
        unsafe {
            match products.pixels {
                1 => accumulate::<1, N>(products),
                2 => accumulate::<2, N>(products),
                3 => accumulate::<3, N>(products),
                4 => accumulate::<4, N>(products),
                5 => accumulate::<5, N>(products),
                6 => accumulate::<6, N>(products),
                7 => accumulate::<7, N>(products),
                8 => accumulate::<8, N>(products),
                9 => accumulate::<9, N>(products),
                10 => accumulate::<10, N>(products),
                11 => accumulate::<11, N>(products),
                12 => accumulate::<12, N>(products),
                _ => accumulate::<PIXELS, N>(products),
            }
        }
    }

    #[target_feature(enable = "avx512f,avx512vnni")]
    unsafe fn accumulate<const T: usize, const N: usize>(products: &Products<'_>) {
        // SAFETY: the pointers are valid for all pixels, taps, words and vectors.
        unsafe {
            let mut sums = [[_mm512_setzero_si512(); N]; T];
            for vector in 0..N {
                let bias = _mm512_loadu_si512(products.bias.add(vector * LANES).cast());
                for row in &mut sums {
                    row[vector] = bias;
                }
            }
            let mut weights = products.weights;
            for &tap in products.taps {
                let mut words = products.source.add(tap);
                for _ in 0..products.words {
                    let mut filters = [_mm512_setzero_si512(); N];
                    for (vector, value) in filters.iter_mut().enumerate() {
                        *value = _mm512_loadu_si512(weights.add(vector * LANES).cast());
                    }
                    for (pixel, row) in sums.iter_mut().enumerate() {
                        let word = *words.add(pixel * products.pixel_stride);
                        let inputs = _mm512_set1_epi32(i32::from_le_bytes(word));
                        for vector in 0..N {
                            row[vector] = _mm512_dpbusd_epi32(row[vector], inputs, filters[vector]);
                        }
                    }
                    weights = weights.add(N * LANES);
                    words = words.add(1);
                }
            }
            for (pixel, row) in sums.iter().enumerate() {
                let out = products.out.add(pixel).cast::<f32>();
                let mut pooled = _mm512_loadu_ps(out);
                for (vector, &sum) in row.iter().enumerate() {
                    let scale = _mm512_loadu_ps(products.scales.add(vector * LANES));
                    let value = _mm512_mul_ps(_mm512_cvtepi32_ps(sum), scale);
                    pooled = if vector == 0 && !products.resume {
                        value
                    } else if products.smallest {
                        _mm512_min_ps(pooled, value)
                    } else {
                        _mm512_max_ps(pooled, value)
                    };
                }
                _mm512_storeu_ps(out, pooled);
            }
        }
    }
}
