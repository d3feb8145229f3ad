//! Who listens on a port, from `/proc`: for the error message of a listener that cannot.

use std::fs;
use std::path::Path;

/// `LISTEN` in the `st` column of `/proc/net/tcp`.
const LISTEN: &str = "0A";

/// "process 1234 (java)"; `None` if nobody listens there or its owner is not ours to see.
pub(super) fn of(port: u16) -> Option<String> {
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"].map(|table| fs::read_to_string(table).unwrap_or_default());
    let inodes = tables.iter().flat_map(|table| listening_inodes(table, port));
    let sockets: Vec<String> = inodes.map(|inode| format!("socket:[{inode}]")).collect();
    if sockets.is_empty() {
        return None;
    }
    let processes = fs::read_dir("/proc").ok()?.flatten().filter_map(|entry| {
        let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
        Some((pid, entry.path()))
    });
    for (pid, process) in processes {
        if holds(&process, &sockets) {
            let command = fs::read_to_string(process.join("comm")).unwrap_or_default();
            return Some(format!("process {pid} ({})", command.trim_end()));
        }
    }
    Some("a process of another user".to_owned())
}

fn holds(process: &Path, sockets: &[String]) -> bool {
    let Ok(handles) = fs::read_dir(process.join("fd")) else { return false };
    handles
        .flatten()
        .filter_map(|handle| fs::read_link(handle.path()).ok())
        .any(|target| target.to_str().is_some_and(|target| sockets.iter().any(|socket| socket == target)))
}

/// Inodes of the sockets of a `/proc/net/tcp` table that listen on `port`.
fn listening_inodes(table: &str, port: u16) -> Vec<&str> {
    table
        .lines()
        .skip(1)
        .filter_map(|line| {
            let mut columns = line.split_whitespace();
            let local_port = columns.nth(1)?.rsplit_once(':')?.1;
            let state = columns.nth(1)?;
            let inode = columns.nth(5)?;
            (state == LISTEN && u16::from_str_radix(local_port, 16) == Ok(port)).then_some(inode)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_the_kernel_is_read() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n   \
                     0: 0100007F:2384 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4242 1 0\n   \
                     1: 0100007F:2384 0100007F:D000 01 00000000:00000000 00:00000000 00000000     0        0 4243 1 0\n";
        assert_eq!(listening_inodes(table, 0x2384), ["4242"]);
        assert!(listening_inodes(table, 0xd000).is_empty());
    }
}
