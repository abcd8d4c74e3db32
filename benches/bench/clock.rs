//! CPU time, as the kernel accounts for it.

#![expect(dead_code, reason = "each bench uses its half")]

use std::fs;

/// A reading of the CPU time of this thread.
pub struct Cpu(u64);

impl Cpu {
    /// Now.
    pub fn of_thread() -> Self {
        Self(of_thread())
    }

    /// CPU time since.
    pub fn microseconds(&self) -> f64 {
        of_thread().saturating_sub(self.0) as f64 / 1e3
    }
}

/// Nanoseconds on a CPU of this thread: the first figure of its `schedstat`. The kernel brings that up to date at its ticks, and
/// whenever the thread gives the CPU away.
fn of_thread() -> u64 {
    std::thread::yield_now();
    let text = fs::read_to_string("/proc/thread-self/schedstat").expect("Linux with schedstat");
    text.split(' ').next().and_then(|figure| figure.parse().ok()).expect("a figure")
}

/// Nanoseconds on a CPU of all threads of this process, ended ones not counted.
pub fn of_process() -> u64 {
    of_threads(std::process::id())
}

/// The same of another process.
pub fn of_threads(pid: u32) -> u64 {
    std::thread::yield_now();
    let threads = fs::read_dir(format!("/proc/{pid}/task")).expect("a process");
    let of_one = |path: std::path::PathBuf| {
        let text = fs::read_to_string(path.join("schedstat")).ok()?;
        text.split(' ').next()?.parse::<u64>().ok()
    };
    threads.flatten().filter_map(|thread| of_one(thread.path())).sum()
}

/// User and system time of a process since its start, ended threads included, in microseconds (ten-millisecond steps).
pub fn user_and_system(pid: u32) -> (f64, f64) {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).expect("a process");
    // The name may hold spaces; what counts follows its closing bracket: utime and stime are the 14th and 15th figure.
    let after = text.rsplit_once(") ").expect("a name in brackets").1;
    let ticks: Vec<f64> = after.split(' ').skip(11).take(2).filter_map(|figure| figure.parse().ok()).collect();
    // USER_HZ is 100 on every Linux that there is.
    (ticks[0] * 1e4, ticks[1] * 1e4)
}

/// A figure of `/proc/PID/status`, in kilobytes.
pub fn status_kilobytes(pid: u32, name: &str) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).expect("a process");
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).expect("a figure");
    line.split_whitespace().next().and_then(|figure| figure.parse().ok()).expect("a number")
}
