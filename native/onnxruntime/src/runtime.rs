//! Threads and memory of ONNX Runtime, for the kernels.

use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, OnceLock, PoisonError};

use condense_kernels::{Error, Runtime, Scratch};
use ort_sys::{OrtAllocator, OrtKernelContext, OrtKernelInfo, OrtMemType};

use crate::api::Api;
use crate::errors::panic_message;

/// ONNX Runtime's allocator of a session, so that its counters see what kernels use.
pub struct Allocator(*mut OrtAllocator);

// SAFETY: ONNX Runtime's allocators may be used from any thread.
unsafe impl Send for Allocator {}
// SAFETY: as above.
unsafe impl Sync for Allocator {}

impl Allocator {
    /// Returns the allocator of the session that a kernel is made for.
    ///
    /// # Safety
    /// `info` comes from ONNX Runtime.
    pub unsafe fn new(info: *const OrtKernelInfo) -> Result<Self, String> {
        let api = Api::get();
        let mut allocator = std::ptr::null_mut();
        let kind = OrtMemType::OrtMemTypeDefault;
        // SAFETY: as the caller promises.
        let status =
            unsafe { (api.table().KernelInfoGetAllocator)(info, kind, &raw mut allocator) };
        api.check(status)?;
        Ok(Self(allocator))
    }
}

impl Drop for Allocator {
    fn drop(&mut self) {
        // SAFETY: it is released once.
        unsafe { (Api::get().table().ReleaseAllocator)(self.0) };
    }
}

/// Threads and memory during one call of a kernel.
pub struct KernelRuntime<'a> {
    context: *mut OrtKernelContext,
    allocator: &'a Allocator,
}

// SAFETY: the context's thread pool may be used from any thread of the call.
unsafe impl Sync for KernelRuntime<'_> {}

impl<'a> KernelRuntime<'a> {
    /// Wraps the context of a call.
    ///
    /// # Safety
    /// The context is the one that the kernel was called with.
    pub unsafe fn new(context: *mut OrtKernelContext, allocator: &'a Allocator) -> Self {
        Self { context, allocator }
    }
}

struct Work<'a> {
    body: &'a (dyn Fn(usize) + Sync),
    failure: Mutex<Option<String>>,
}

unsafe extern "C" fn call_body(work: *mut c_void, index: usize) {
    // SAFETY: `parallel_for` passes its `Work` and waits until all calls have returned.
    let work = unsafe { &*work.cast::<Work<'_>>() };
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| (work.body)(index))) {
        let mut failure = work.failure.lock().unwrap_or_else(PoisonError::into_inner);
        *failure = Some(panic_message(&*panic));
    }
}

impl Runtime for KernelRuntime<'_> {
    fn workers(&self) -> usize {
        // The number of the session's threads is not told; those beyond it find no work.
        static PROCESSORS: OnceLock<usize> = OnceLock::new();
        *PROCESSORS.get_or_init(|| std::thread::available_parallelism().map_or(1, usize::from))
    }

    fn parallel_for(&self, count: usize, body: &(dyn Fn(usize) + Sync)) -> Result<(), Error> {
        let api = Api::get();
        let work = Work { body, failure: Mutex::new(None) };
        let data = std::ptr::from_ref(&work).cast_mut().cast();
        // SAFETY: the call returns after the last use of `work`.
        let status = unsafe {
            (api.table().KernelContext_ParallelFor)(self.context, call_body, count, 0, data)
        };
        api.check(status).map_err(Error::new)?;
        let failure = work.failure.into_inner().unwrap_or_else(PoisonError::into_inner);
        failure.map_or(Ok(()), |reason| Err(Error::new(reason)))
    }

    fn scratch(&self, floats: usize) -> Result<Box<dyn Scratch + '_>, Error> {
        let api = Api::get();
        let mut memory = std::ptr::null_mut();
        let bytes = floats.max(1) * size_of::<f32>() + condense_kernels::ALIGNMENT;
        // SAFETY: the allocator lives as long as the kernel.
        let status =
            unsafe { (api.table().AllocatorAlloc)(self.allocator.0, bytes, &raw mut memory) };
        api.check(status).map_err(Error::new)?;
        Ok(Box::new(ArenaScratch { allocator: self.allocator, memory, floats }))
    }
}

struct ArenaScratch<'a> {
    allocator: &'a Allocator,
    memory: *mut c_void,
    floats: usize,
}

impl Scratch for ArenaScratch<'_> {
    fn floats(&mut self) -> &mut [f32] {
        let start = self.memory.cast::<u8>();
        let padding = start.align_offset(condense_kernels::ALIGNMENT);
        // SAFETY: the memory has room for the padding and the floats; it comes from foreign code,
        // so that its content is some bytes, and any bytes are floats.
        unsafe { std::slice::from_raw_parts_mut(start.add(padding).cast(), self.floats) }
    }
}

impl Drop for ArenaScratch<'_> {
    fn drop(&mut self) {
        let free = Api::get().table().AllocatorFree;
        // SAFETY: the memory is given back once, to where it came from.
        let _never_fails = Api::get().check(unsafe { free(self.allocator.0, self.memory) });
    }
}
