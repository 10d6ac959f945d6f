//! Instruction sets, and the functions compiled for each.

use crate::Error;
use crate::activation::{self, Activation};
use crate::direct::kernel::{self, Tile};
use crate::elementwise::{self, Bound};
use crate::maxpool;
use crate::narrow::product::{self as pixels, PixelProduct};
use crate::reduce::{self, Pooling};
use crate::simd::Portable;
#[cfg(target_arch = "x86_64")]
use crate::simd::{Avx2, Avx512};
use crate::winograd::input::{self, InputRun};
use crate::winograd::output::{self, OutputRun};
use crate::winograd::product::{self, Product};

/// An instruction set that the kernels are compiled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isa {
    /// AVX-512 (foundation), 16 values in a vector.
    Avx512,
    /// AVX2 with fused multiply-add, 8 values in a vector.
    Avx2,
    /// What every processor of the target has.
    Portable,
}

/// Environment variable that names the instruction set to use, for tests and measurements.
const VARIABLE: &str = "CONDENSE_ISA";

impl Isa {
    /// Returns the best instruction set that the processor has, or the one that the environment
    /// variable `CONDENSE_ISA` names (`portable`, `avx2`, `avx512`).
    ///
    /// # Errors
    /// The variable names no instruction set, or one that the processor lacks.
    pub fn detect() -> Result<Self, Error> {
        let wanted = std::env::var(VARIABLE).unwrap_or_default();
        if wanted.is_empty() {
            let best = Self::ALL.into_iter().find(|isa| isa.is_available());
            return Ok(best.unwrap_or(Self::Portable));
        }
        let Some(named) = Self::ALL.into_iter().find(|isa| isa.name() == wanted) else {
            let known = Self::ALL.map(Self::name).join(", ");
            return Err(Error::new(format!("{VARIABLE} is {wanted:?}, not one of {known}")));
        };
        if named.is_available() {
            return Ok(named);
        }
        Err(Error::new(format!("{VARIABLE} is {wanted:?}, which this processor lacks")))
    }

    /// All instruction sets, best first.
    pub const ALL: [Self; 3] = [Self::Avx512, Self::Avx2, Self::Portable];

    /// Returns the name in lower case.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Avx512 => "avx512",
            Self::Avx2 => "avx2",
            Self::Portable => "portable",
        }
    }

    /// Tells whether the processor has the instruction set.
    #[must_use]
    pub fn is_available(self) -> bool {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => is_x86_feature_detected!("avx512f"),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"),
            Self::Portable => true,
            #[cfg(not(target_arch = "x86_64"))]
            _ => false,
        }
    }

    pub(crate) fn kernels(self) -> &'static Kernels {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 if self.is_available() => &avx512::KERNELS,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 if self.is_available() => &avx2::KERNELS,
            _ => &portable::KERNELS,
        }
    }
}

/// The functions of one instruction set.
///
/// # Safety of the functions
/// The processor has the instruction set; what they are given says what else must hold.
pub struct Kernels {
    /// Values in a vector.
    pub lanes: usize,
    /// Filters that a tile of the direct convolution computes at most.
    pub tile_filters: usize,
    /// Pixels that a tile of the direct convolution computes.
    pub tile_pixels: usize,
    /// Computes one tile of the direct convolution.
    pub convolve: unsafe fn(&Tile<'_>),
    /// Reduces slots to pooled channels.
    pub pool_channels: unsafe fn(&Pooling<'_>),
    /// Tiles that a product of transformed maps computes at most.
    pub product_tiles: usize,
    /// Vectors of filters that a product computes at most.
    pub product_vectors: usize,
    /// Transforms a run of tiles of the input.
    pub transform_input: unsafe fn(&InputRun),
    /// Multiplies transformed tiles and filters.
    pub multiply: unsafe fn(&Product),
    /// Adds the product of pixels and filters to sums.
    pub multiply_pixels: unsafe fn(&PixelProduct),
    /// Transforms a run of tiles back and pools the channels; tells whether all was finite.
    pub transform_output: unsafe fn(&OutputRun<'_>) -> bool,
    /// Applies a simple activation.
    pub activate: unsafe fn(Activation, &mut [f32]),
    /// Runs an element-wise program on values of one unit.
    pub program: unsafe fn(&Bound, usize, &mut [f32]),
    /// Lowers a row to the maximum with another.
    pub maximum: unsafe fn(&mut [f32], &[f32]),
    /// Maxima of neighbouring pairs.
    pub pairs: unsafe fn(&mut [f32], &[f32]),
}

macro_rules! kernels {
    ($module:ident, $simd:ty, ($filters:literal, $vectors:literal),
     ($product_tiles:literal, $product_vectors:literal) $(, $feature:literal)?) => {
        mod $module {
            use super::*;

            $(#[target_feature(enable = $feature)])?
            unsafe fn convolve(tile: &Tile<'_>) {
                // SAFETY: as the caller promises.
                unsafe { kernel::convolve::<$simd, $filters, $vectors>(tile) }
            }

            $(#[target_feature(enable = $feature)])?
            unsafe fn pool_channels(pooling: &Pooling<'_>) {
                // SAFETY: as the caller promises.
                unsafe { reduce::pool_channels::<$simd>(pooling) }
            }

            $(#[target_feature(enable = $feature)])?
            unsafe fn transform_input(run: &InputRun) {
                // SAFETY: as the caller promises.
                unsafe { input::transform::<$simd>(run) }
            }

            $(#[target_feature(enable = $feature)])?
            unsafe fn multiply(product: &Product) {
                // SAFETY: as the caller promises.
                unsafe {
                    product::multiply::<$simd, $product_tiles, $product_vectors>(product);
                }
            }

            $(#[target_feature(enable = $feature)])?
            unsafe fn multiply_pixels(product: &PixelProduct) {
                // SAFETY: as the caller promises.
                unsafe {
                    pixels::multiply::<$simd, $product_tiles, $product_vectors>(product);
                }
            }

            $(#[target_feature(enable = $feature)])?
            unsafe fn transform_output(run: &OutputRun<'_>) -> bool {
                // SAFETY: as the caller promises.
                unsafe { output::transform::<$simd>(run) }
            }

            $(#[target_feature(enable = $feature)])?
            unsafe fn activate(activation: Activation, values: &mut [f32]) {
                activation::activate(activation, values);
            }

            $(#[target_feature(enable = $feature)])?
            unsafe fn program(bound: &Bound, unit: usize, values: &mut [f32]) {
                // SAFETY: as the caller promises.
                unsafe { elementwise::run::<$simd>(bound, unit, values) }
            }

            $(#[target_feature(enable = $feature)])?
            unsafe fn maximum(row: &mut [f32], other: &[f32]) {
                maxpool::maximum(row, other);
            }

            $(#[target_feature(enable = $feature)])?
            unsafe fn pairs(out: &mut [f32], row: &[f32]) {
                maxpool::pairs(out, row);
            }

            pub static KERNELS: Kernels = Kernels {
                lanes: <$simd as crate::simd::Simd>::LANES,
                tile_filters: $filters,
                tile_pixels: $vectors * <$simd as crate::simd::Simd>::LANES,
                convolve,
                pool_channels,
                product_tiles: $product_tiles,
                product_vectors: $product_vectors,
                transform_input,
                multiply,
                multiply_pixels,
                transform_output,
                activate,
                program,
                maximum,
                pairs,
            };
        }
    };
}

#[cfg(target_arch = "x86_64")]
kernels!(avx512, Avx512, (8, 3), (7, 4), "avx512f");
#[cfg(target_arch = "x86_64")]
kernels!(avx2, Avx2, (4, 3), (6, 2), "avx2,fma");
kernels!(portable, Portable, (4, 2), (4, 2));
