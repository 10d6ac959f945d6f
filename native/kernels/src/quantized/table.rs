//! What each byte becomes.

use crate::isa::Isa;

/// Values of a byte.
pub const BYTES: usize = 256;

/// A function of bytes.
#[derive(Clone, Debug)]
pub struct Table {
    entries: [u8; BYTES],
    look_up: unsafe fn(&[u8; BYTES], &mut [u8]),
}

impl Table {
    /// Tabulates a function; none if it changes nothing.
    pub fn new(isa: Isa, function: impl Fn(u8) -> u8) -> Option<Self> {
        let mut entries = [0; BYTES];
        for (byte, entry) in (0..=u8::MAX).zip(&mut entries) {
            *entry = function(byte);
        }
        let changes = (0..=u8::MAX).zip(entries).any(|(byte, entry)| byte != entry);
        changes.then_some(Self { entries, look_up: best(isa) })
    }

    /// Replaces each byte by its entry.
    pub fn apply(&self, bytes: &mut [u8]) {
        // SAFETY: the processor has the instructions.
        unsafe { (self.look_up)(&self.entries, bytes) }
    }
}

fn best(isa: Isa) -> unsafe fn(&[u8; BYTES], &mut [u8]) {
    #[cfg(target_arch = "x86_64")]
    if isa == Isa::Avx512 && permuting::is_available() {
        return permuting::look_up;
    }
    let _ = isa;
    |entries, bytes| look_up(entries, bytes)
}

fn look_up(entries: &[u8; BYTES], bytes: &mut [u8]) {
    for byte in bytes {
        *byte = entries[usize::from(*byte)];
    }
}

#[cfg(target_arch = "x86_64")]
mod permuting {
    //! AVX-512 with permutations of bytes: a table of 256 is four vectors.

    use std::arch::x86_64::{
        _mm512_loadu_si512, _mm512_mask_blend_epi8, _mm512_movepi8_mask, _mm512_permutex2var_epi8,
        _mm512_storeu_si512,
    };

    use super::BYTES;

    /// Bytes in a vector.
    const LANES: usize = 64;

    /// Tells whether the processor has the instructions.
    pub fn is_available() -> bool {
        is_x86_feature_detected!("avx512bw") && is_x86_feature_detected!("avx512vbmi")
    }

    /// See [`super::look_up`].
    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
    pub unsafe fn look_up(entries: &[u8; BYTES], bytes: &mut [u8]) {
        // SAFETY: the table has four vectors.
        let quarters: [_; BYTES / LANES] = std::array::from_fn(|quarter| unsafe {
            _mm512_loadu_si512(entries.as_ptr().add(quarter * LANES).cast())
        });
        let (vectors, rest) = bytes.as_chunks_mut::<LANES>();
        for vector in vectors {
            // SAFETY: it has room for a vector.
            unsafe {
                let index = _mm512_loadu_si512(vector.as_ptr().cast());
                let low = _mm512_permutex2var_epi8(quarters[0], index, quarters[1]);
                let high = _mm512_permutex2var_epi8(quarters[2], index, quarters[3]);
                let is_high = _mm512_movepi8_mask(index);
                let entry = _mm512_mask_blend_epi8(is_high, low, high);
                _mm512_storeu_si512(vector.as_mut_ptr().cast(), entry);
            }
        }
        super::look_up(entries, rest);
    }
}

#[cfg(test)]
mod tests {
    use super::Table;
    use crate::isa::Isa;

    #[test]
    fn every_instruction_set_looks_up_the_same() {
        let function = |byte: u8| byte.wrapping_mul(77).rotate_left(3);
        for isa in Isa::ALL {
            let table = Table::new(isa, function).expect("it changes bytes");
            for count in [0, 1, 63, 64, 300] {
                let mut bytes: Vec<u8> = (0..=u8::MAX).cycle().take(count).collect();
                let expected: Vec<u8> = bytes.iter().map(|&byte| function(byte)).collect();
                table.apply(&mut bytes);
                assert_eq!(bytes, expected, "{isa:?}");
            }
        }
    }

    #[test]
    fn a_table_that_changes_nothing_is_none() {
        assert!(Table::new(Isa::Portable, |byte| byte).is_none());
    }
}
