//! What the tests of the kernels share.

use condense_kernels::{Error, Runtime, Scratch, Serial};

/// A small generator, so that weights differ from each other.
pub struct Random(pub u64);

impl Random {
    /// Returns 16 random bits.
    pub fn bits(&mut self) -> u16 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        u16::try_from(self.0 >> 48).expect("16 bits are left")
    }
}

/// Three threads, each call with new ones.
pub struct Threads;

impl Runtime for Threads {
    fn workers(&self) -> usize {
        3
    }

    fn parallel_for(&self, count: usize, body: &(dyn Fn(usize) + Sync)) -> Result<(), Error> {
        std::thread::scope(|scope| {
            for index in 0..count {
                scope.spawn(move || body(index));
            }
        });
        Ok(())
    }

    fn scratch(&self, floats: usize) -> Result<Box<dyn Scratch + '_>, Error> {
        Serial.scratch(floats)
    }
}
