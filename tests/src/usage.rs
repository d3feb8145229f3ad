//! What a process used, as `/proc` tells it: CPU-seconds (user and system, every thread it ever had) and resident memory.

use std::fs;
use std::io;

/// Ticks a second in `/proc/PID/stat`: fixed by the kernel's interface to programs, whatever its own timer does.
const USER_HZ: f64 = 100.0;

/// CPU-seconds that `pid` has used so far, in user and in system mode.
pub fn cpu_seconds(pid: u32) -> io::Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The second field is the program's name in parentheses and may hold anything; `utime` and `stime` are the 14th and 15th.
    let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let fields: Vec<&str> = after_name.split_ascii_whitespace().collect();
    let ticks = |index: usize| fields.get(index).and_then(|field| field.parse::<f64>().ok());
    match (ticks(11), ticks(12)) {
        (Some(user), Some(system)) => Ok((user + system) / USER_HZ),
        _ => Err(io::Error::other(format!("/proc/{pid}/stat has an unknown shape"))),
    }
}

/// Resident bytes of `pid`, files it maps included (`VmRSS`).
pub fn resident_bytes(pid: u32) -> io::Result<f64> {
    status_bytes(pid, "VmRSS")
}

/// The most that was ever resident of `pid` (`VmHWM`).
pub fn peak_resident_bytes(pid: u32) -> io::Result<f64> {
    status_bytes(pid, "VmHWM")
}

fn status_bytes(pid: u32, name: &str) -> io::Result<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let kibibytes = line.and_then(|line| line.split_ascii_whitespace().next()?.parse::<f64>().ok());
    kibibytes.map(|count| count * 1024.0).ok_or_else(|| io::Error::other(format!("/proc/{pid}/status has no {name}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_memory_and_its_cpu_time_only_grows() {
        let me = std::process::id();
        let before = cpu_seconds(me).expect("own stat");
        let resident = resident_bytes(me).expect("own status");
        assert!(resident > 100_000.0 && peak_resident_bytes(me).expect("own status") >= resident);
        assert!(cpu_seconds(me).expect("own stat") >= before);
    }
}
