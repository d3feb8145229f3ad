//! Carries out planned moves, some at a time, and tells how far they are.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use weir_controller::balance::{PlannedMove, Resource};
use weir_protocol::client::{Admin, Election};
use weir_protocol::ids::TopicPartition;

use super::MoveOptions;
use super::throttle::Throttle;
use crate::command_error::CommandError;
use crate::output;

/// How often it is asked what still moves.
const POLL: Duration = Duration::from_millis(300);

/// Carries out moves.
pub(crate) struct Mover<'a> {
    admin: &'a Admin,
    options: MoveOptions,
}

/// How far they are.
#[derive(Default)]
struct Progress {
    partitions: usize,
    bytes: u64,
}

impl<'a> Mover<'a> {
    pub(crate) fn new(admin: &'a Admin, options: MoveOptions) -> Self {
        Self { admin, options }
    }

    /// Carries all of them out; returns when the last has ended. What was started goes on if this is interrupted, throttled as it was:
    /// without that it would take from everybody else what it was not to take.
    pub(crate) async fn carry_out(&self, moves: Vec<PlannedMove>) -> Result<(), CommandError> {
        tokio::select! {
            moved = self.throttled(moves) => moved,
            () = interrupted() => Err(CommandError::Interrupted { is_throttled: self.options.throttle.is_some() }),
        }
    }

    async fn throttled(&self, moves: Vec<PlannedMove>) -> Result<(), CommandError> {
        let Some(bytes_per_s) = self.options.throttle else { return self.move_all(moves).await };
        let throttle = Throttle::of(&moves);
        let moved = match throttle.set(self.admin, bytes_per_s).await {
            Ok(()) => self.move_all(moves).await,
            Err(error) => Err(error),
        };
        // Also after a failure: nobody would look for it later.
        let freed = throttle.clear(self.admin).await;
        moved.and(freed)
    }

    async fn move_all(&self, moves: Vec<PlannedMove>) -> Result<(), CommandError> {
        let all = Progress { partitions: moves.len(), bytes: moves.iter().map(PlannedMove::copied_bytes).sum() };
        let mut waiting = VecDeque::from(moves);
        let mut moving: BTreeMap<TopicPartition, PlannedMove> = BTreeMap::new();
        let mut done = Progress::default();
        let mut failures = Vec::new();
        while !waiting.is_empty() || !moving.is_empty() {
            let room = usize::from(self.options.at_a_time).saturating_sub(moving.len()).min(waiting.len());
            let started = self.start(waiting.drain(..room).collect(), &mut failures).await?;
            moving.extend(started.into_iter().map(|it| (it.partition.clone(), it)));
            let ended = self.ended(&mut moving).await?;
            if ended.is_empty() {
                tokio::time::sleep(POLL).await;
                continue;
            }
            self.elect(&ended).await;
            done.partitions += ended.len();
            done.bytes += ended.iter().map(PlannedMove::copied_bytes).sum::<u64>();
            let bytes = |bytes: u64| Resource::DiskBytes.figure(bytes as f64).to_string();
            let (moved, of) = (bytes(done.bytes), bytes(all.bytes));
            output::remark(&format!("{} of {} partitions moved, {moved} of {of}", done.partitions, all.partitions));
        }
        CommandError::all(failures)
    }

    /// Starts moves; those that were refused are left out.
    async fn start(
        &self,
        moves: Vec<PlannedMove>,
        failures: &mut Vec<CommandError>,
    ) -> Result<Vec<PlannedMove>, CommandError> {
        if moves.is_empty() {
            return Ok(moves);
        }
        let asked: Vec<_> = moves.iter().map(|it| (it.partition.clone(), Some(it.to.clone()))).collect();
        let outcome = self.admin.move_partitions(&asked).await;
        let mut outcome: BTreeMap<_, _> =
            outcome.map_err(|error| CommandError::client("move partitions", error))?.into_iter().collect();
        let mut started = Vec::new();
        for it in moves {
            match outcome.remove(&it.partition) {
                Some(Err(error)) => failures.push(CommandError::client(format!("move {}", it.partition), error)),
                Some(Ok(())) | None => started.push(it),
            }
        }
        Ok(started)
    }

    /// Takes out those that do not move any more.
    async fn ended(
        &self,
        moving: &mut BTreeMap<TopicPartition, PlannedMove>,
    ) -> Result<Vec<PlannedMove>, CommandError> {
        let listed = self.admin.list_moves().await.map_err(|error| CommandError::client("list the moves", error))?;
        let still: Vec<_> = listed.into_iter().map(|it| it.partition).collect();
        let ended: Vec<_> = moving.keys().filter(|partition| !still.contains(partition)).cloned().collect();
        Ok(ended.iter().filter_map(|partition| moving.remove(partition)).collect())
    }

    /// Has their preferred replicas lead. Where one cannot yet, it comes to lead by itself later.
    async fn elect(&self, moves: &[PlannedMove]) {
        let partitions: Vec<_> = moves.iter().map(|it| it.partition.clone()).collect();
        if let Err(error) = self.admin.elect_leaders(Election::Preferred, Some(&partitions)).await {
            output::remark(&format!("the preferred leaders were not elected yet: {error}"));
        }
    }
}

/// Resolves when somebody wants this to end: Ctrl-C, or SIGTERM. Without a handler the signal ends the process as ever.
async fn interrupted() {
    let Ok(mut terminated) = signal(SignalKind::terminate()) else { return std::future::pending().await };
    tokio::select! {
        pressed = tokio::signal::ctrl_c() => if pressed.is_err() { std::future::pending().await },
        _ = terminated.recv() => {}
    }
}
