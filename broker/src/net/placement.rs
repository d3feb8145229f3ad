//! Which network thread a new connection goes to.
//!
//! Few connections share a thread while it is not busy, because a wake-up between threads costs more than the work of a
//! small request; once it is busy, they spread.

/// A thread this busy gets no new connection while another is less busy.
const BUSY_PERMILLE: u64 = 400;
/// So many connections on one thread are spread even if they are quiet: they may all wake at once.
const MANY_CONNECTIONS: u64 = 256;

/// What placement knows of a thread.
#[derive(Debug, Clone, Copy)]
pub(super) struct ThreadView {
    /// Share of the last second it was not asleep, in thousandths.
    pub(super) load_permille: u64,
    /// Its open connections.
    pub(super) connections: u64,
}

/// The index of the thread to take: the first that is neither busy nor crowded, else the least loaded.
pub(super) fn choose(threads: &[ThreadView]) -> usize {
    let roomy = |thread: &ThreadView| thread.load_permille < BUSY_PERMILLE && thread.connections < MANY_CONNECTIONS;
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
        assert_eq!(chosen(&[(100, 50), (0, 0), (0, 0)]), 0);
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
    fn crowds_spread_evenly() {
        assert_eq!(chosen(&[(0, 300), (0, 256), (0, 280)]), 1);
    }
}
