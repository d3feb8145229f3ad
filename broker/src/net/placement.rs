//! Which network thread a new connection goes to.
//!
//! Few connections share a thread while it is not busy, because a wake-up between threads costs more than the work of a
//! small request; once it is busy, or they are more than a few, they spread.

/// A thread this busy gets no new connection while another is less busy.
const BUSY_PERMILLE: u64 = 400;
/// So many connections may share a thread while another has fewer. They stay where they are put, and those of a client
/// that starts are opened while everything is quiet, so it is few: a client or two with their bootstrap connections.
const FEW_CONNECTIONS: u64 = 8;

/// What placement knows of a thread.
#[derive(Debug, Clone, Copy)]
pub(super) struct ThreadView {
    /// Share of the last second it was not asleep, in thousandths.
    pub(super) load_permille: u64,
    /// Its open connections.
    pub(super) connections: u64,
}

/// The index of the thread to take: the first that is neither busy nor has more than a few, else the least loaded.
pub(super) fn choose(threads: &[ThreadView]) -> usize {
    let roomy = |thread: &ThreadView| thread.load_permille < BUSY_PERMILLE && thread.connections < FEW_CONNECTIONS;
    threads.iter().position(roomy).unwrap_or_else(|| {
        let cost = |thread: &ThreadView| (thread.load_permille / (BUSY_PERMILLE / 2), thread.connections);
        (0..threads.len()).min_by_key(|&index| cost(&threads[index])).unwrap_or(0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(threads: &[(u64, u64)]) -> usize {
        let view = |&(load_permille, connections)| ThreadView { load_permille, connections };
        choose(&threads.iter().map(view).collect::<Vec<_>>())
    }

    #[test]
    fn quiet_connections_share_the_first_thread() {
        assert_eq!(chosen(&[(100, 5), (0, 0), (0, 0)]), 0);
    }

    #[test]
    fn a_busy_thread_is_passed_over() {
        assert_eq!(chosen(&[(700, 3), (100, 1), (0, 0)]), 1);
    }

    #[test]
    fn when_all_are_busy_the_least_loaded_is_taken_and_near_ties_go_by_connections() {
        assert_eq!(chosen(&[(900, 3), (650, 9), (950, 1)]), 1);
        assert_eq!(chosen(&[(910, 3), (905, 9), (990, 1)]), 2);
    }

    #[test]
    fn many_spread_evenly_however_quiet() {
        assert_eq!(chosen(&[(0, 8), (0, 7), (0, 0)]), 1);
        assert_eq!(chosen(&[(0, 300), (0, 256), (0, 280)]), 1);
    }
}
