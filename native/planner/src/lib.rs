//! Places buffers of known size and lifetime in one small arena.
#![forbid(unsafe_code)]
