//! Packed weights at addresses that vectors are loaded from fastest.

use std::marker::PhantomData;
use std::ops::Deref;

use crate::runtime::Line;

/// Numbers that start at a cache line.
#[derive(Clone, Debug)]
pub struct Aligned<T> {
    lines: Vec<Line>,
    count: usize,
    kind: PhantomData<T>,
}

impl<T: Copy> From<Vec<T>> for Aligned<T> {
    fn from(values: Vec<T>) -> Self {
        let count = values.len();
        let mut lines = vec![Line::default(); (count * size_of::<T>()).div_ceil(size_of::<Line>())];
        // SAFETY: the lines have room for the values, whose alignment is smaller.
        unsafe {
            std::ptr::copy_nonoverlapping(values.as_ptr(), lines.as_mut_ptr().cast(), count);
        }
        Self { lines, count, kind: PhantomData }
    }
}

impl<T: Copy> Deref for Aligned<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        // SAFETY: `from` wrote that many values.
        unsafe { std::slice::from_raw_parts(self.lines.as_ptr().cast(), self.count) }
    }
}
