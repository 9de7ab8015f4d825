//! Memory that was given up.

/// Gives what is free in the heap back to the system. Chunks of galleries are of a size that the C library keeps for the next ones.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[allow(unsafe_code)] // A call of the C library.
pub fn give_back() {
    // SAFETY: any thread may call it at any time.
    unsafe { libc::malloc_trim(0) };
}

/// Other C libraries do so by themselves, or have no such call.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub fn give_back() {}
