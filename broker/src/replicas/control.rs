//! The thread that takes roles: in the order of the metadata, and free to wait for appends under way.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use ahash::AHashMap;
use weir_controller::image::MetadataImage;

use super::fetchers::{Fetchers, Shared};
use super::log_reports::LogReports;
use super::roles::WaitingRoles;
use super::{LostLeaders, ReplicaMetrics, Surroundings, Task};
use crate::group::OFFSETS_TOPIC;
use crate::partition::{Partition, PartitionKey, RoleChange, TableChange};
use crate::publisher::FileTask;

/// What the thread owns.
pub(super) struct Control {
    surroundings: Surroundings,
    fetchers: Fetchers,
    /// The partitions whose followers are to be watched for lag.
    followed: AHashMap<PartitionKey, Weak<Partition>>,
    next_lag_check: Instant,
    waiting: WaitingRoles,
    log_reports: LogReports,
}

impl Control {
    pub(super) fn new(
        surroundings: Surroundings,
        tasks: Sender<Task>,
        metrics: Arc<ReplicaMetrics>,
        lost_leaders: Arc<LostLeaders>,
    ) -> Self {
        let (local, image) = (surroundings.partitions.local().clone(), surroundings.image.clone());
        let settings = surroundings.settings.clone();
        let fetchers = Fetchers::new(Shared { settings, local, image, tasks, metrics, lost_leaders });
        Self {
            surroundings,
            fetchers,
            followed: AHashMap::new(),
            next_lag_check: Instant::now(),
            waiting: WaitingRoles::default(),
            log_reports: LogReports::default(),
        }
    }

    pub(super) fn run(mut self, tasks: &Receiver<Task>) {
        while let Some(task) = self.next(tasks) {
            match task {
                Task::Metadata(change, image) => self.on_metadata(change, &image),
                Task::Settings(partitions, image) => {
                    partitions.iter().for_each(|partition| partition.refresh_leadership(&image));
                }
                Task::Registered => {
                    let image = (self.surroundings.image)();
                    let changed = self.surroundings.partitions.registered(&image);
                    self.on_metadata(TableChange { changed, ..TableChange::default() }, &image);
                }
                Task::Lane(partition, lane) => self.fetchers.change_lane(&partition, lane),
                Task::Fetchers(count) => self.fetchers.set_count(count),
                Task::Settled(done) => drop(done),
                Task::Stop => break,
            }
        }
        self.fetchers.stop();
    }

    /// The next task; looks meanwhile for followers that lag, if there are followers at all, and for roles that can be taken by now.
    fn next(&mut self, tasks: &Receiver<Task>) -> Option<Task> {
        loop {
            let now = Instant::now();
            if self.followed.is_empty() || self.next_lag_check <= now {
                self.check_lag();
                self.next_lag_check = now + self.lag_check_interval();
            }
            let until_check = (!self.followed.is_empty()).then(|| self.next_lag_check.saturating_duration_since(now));
            // When it is due and not when there is nothing else to do: the queue may never be empty for long.
            let until_retry = self.waiting.due().map(|due| due.saturating_duration_since(now));
            if until_retry.is_some_and(|wait| wait.is_zero()) {
                self.retry_roles();
                continue;
            }
            let until_report = self.log_reports.due().map(|due| due.saturating_duration_since(now));
            if until_report.is_some_and(|wait| wait.is_zero()) {
                self.log_reports.report(&self.surroundings);
                continue;
            }
            let received = match until_check.into_iter().chain(until_retry).chain(until_report).min() {
                None => return tasks.recv().ok(),
                Some(wait) => tasks.recv_timeout(wait),
            };
            match received {
                Ok(task) => return Some(task),
                Err(RecvTimeoutError::Disconnected) => return None,
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }

    fn retry_roles(&mut self) {
        let image = (self.surroundings.image)();
        for (partition, role) in self.waiting.retry(&image) {
            self.act(&partition, role);
        }
    }

    /// Half the lag that is allowed, as Kafka does: a follower is found at most that much later.
    fn lag_check_interval(&self) -> Duration {
        Duration::from_millis((self.surroundings.settings.max_lag_ms / 2).max(1) as u64)
    }

    fn check_lag(&mut self) {
        self.followed.retain(|_, partition| match partition.upgrade().filter(|partition| partition.is_followed()) {
            Some(partition) => {
                partition.check_lag();
                true
            }
            None => false,
        });
    }

    fn on_metadata(&mut self, change: TableChange, image: &Arc<MetadataImage>) {
        for partition in change.removed {
            self.waiting.leave(&partition);
            self.fetchers.unfollow(&partition.key());
            self.followed.remove(&partition.key());
        }
        for partition in change.created {
            // The files thread opens it, and has the groups loaded that it holds.
            let (role, registration) = partition.first_role();
            self.log_reports.note(&partition, &registration);
            self.watch_followers(&partition);
            if role == RoleChange::Follows {
                self.fetchers.follow(&partition, &registration);
            }
        }
        for (partition, registration) in change.changed {
            self.log_reports.note(&partition, &registration);
            if let Some(role) = self.waiting.take(&partition, &registration, image) {
                self.act(&partition, role);
            }
        }
    }

    fn act(&mut self, partition: &Arc<Partition>, change: RoleChange) {
        let key = partition.key();
        self.watch_followers(partition);
        if change == RoleChange::None {
            return;
        }
        // Only this thread changes it. It may be newer than what the change came with.
        let registration = partition.registration();
        match change {
            RoleChange::None => {}
            RoleChange::Follows => self.fetchers.follow(partition, &registration),
            RoleChange::Leads | RoleChange::Idles => self.fetchers.unfollow(&key),
        }
        let groups = (*partition.topic().name == *OFFSETS_TOPIC).then(|| self.surroundings.groups.upgrade()).flatten();
        if change == RoleChange::Leads {
            if let Some(groups) = groups {
                // Until they are loaded, who asks is told to wait and not to look elsewhere.
                groups.begin_load(partition.index(), registration.leader_epoch);
            }
            // Its followers are known from when its log is open, and so are the groups it holds.
            let _ = self.surroundings.files.send(FileTask::Open(partition.clone()));
        } else if let Some(groups) = groups {
            groups.unload(partition.index(), registration.leader_epoch);
        }
    }

    fn watch_followers(&mut self, partition: &Arc<Partition>) {
        if partition.is_followed() {
            self.followed.insert(partition.key(), Arc::downgrade(partition));
        }
    }
}
