//! `weir cluster balance`: levels what brokers carry, or says what it would do and why.

use std::time::Duration;

use clap::Args;
use serde::Serialize;
use weir_controller::balance::{BrokerSummary, Plan, Resource, Step, Wish, plan};
use weir_protocol::client::Admin;
use weir_protocol::ids::BrokerId;

use super::survey::survey;
use crate::command_error::CommandError;
use crate::moving::{MoveOptions, Mover};
use crate::output::{self, Format, joined, numbers, words};

/// Spread replicas, leaders, disk and throughput evenly over brokers, without crowding zones.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Change nothing: show each step and its reason.
    #[arg(long)]
    dry_run: bool,
    /// How long writes are measured before throughput is judged; 0 leaves it out.
    #[arg(long, default_value_t = 5, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(0..=3600))]
    sample: u32,
    #[command(flatten)]
    moving: MoveOptions,
}

/// A plan as JSON tells it.
#[derive(Debug, Serialize)]
struct Shown {
    steps: Vec<ShownStep>,
    stuck: Vec<ShownStuck>,
    brokers: Vec<ShownBroker>,
    copied_bytes: u64,
}

#[derive(Debug, Serialize)]
struct ShownStep {
    partition: String,
    from: Vec<i32>,
    to: Vec<i32>,
    replica_bytes: u64,
    reason: String,
}

#[derive(Debug, Serialize)]
struct ShownStuck {
    partition: String,
    broker: i32,
}

#[derive(Debug, Serialize)]
struct ShownBroker {
    broker: i32,
    before: Carried,
    after: Carried,
}

#[derive(Debug, Serialize)]
struct Carried {
    replicas: u64,
    disk_bytes: u64,
    write_bytes_per_s: u64,
    leaders: u64,
    leader_bytes_per_s: u64,
}

pub(super) async fn run(admin: &Admin, arguments: &Arguments, format: Format) -> Result<(), CommandError> {
    let load = survey(admin, Duration::from_secs(arguments.sample.into())).await?;
    let plan = plan(&load, &Wish { is_levelled: true, ..Wish::default() });
    show(&plan, format)?;
    if arguments.dry_run || plan.is_empty() {
        return Ok(());
    }
    Mover::new(admin, arguments.moving).carry_out(plan.moves()).await
}

/// Prints a plan.
pub(super) fn show(plan: &Plan, format: Format) -> Result<(), CommandError> {
    match format {
        Format::Json => output::print_json(&Shown::of(plan)),
        Format::Table if plan.is_empty() => output::print(&format!("{}\n\nnothing is to be moved", brokers(plan))),
        Format::Table => output::print(&format!("{}\n\n{}", steps(plan), brokers(plan))),
    }
}

fn ids(brokers: &[BrokerId]) -> Vec<i32> {
    brokers.iter().map(|id| id.get()).collect()
}

fn steps(plan: &Plan) -> String {
    let row = |step: &Step| {
        let copies = step.to.iter().filter(|id| !step.from.contains(id)).count() as u64;
        let bytes = Resource::DiskBytes.figure((step.replica_bytes * copies) as f64).to_string();
        let copied = if copies == 0 { "-".to_owned() } else { bytes };
        let (from, to) = (joined(&ids(&step.from)), joined(&ids(&step.to)));
        [step.partition.to_string(), from, to, copied, step.reason.to_string()]
    };
    let columns = [words("PARTITION"), words("REPLICAS"), words("BECOME"), numbers("COPIED"), words("BECAUSE")];
    output::table(columns, plan.steps.iter().map(row))
}

/// What each broker carries, now and then.
fn brokers(plan: &Plan) -> String {
    const SHOWN: [Resource; 4] = [Resource::Replicas, Resource::Leaders, Resource::DiskBytes, Resource::WriteRate];
    let row = |(before, after): (&BrokerSummary, &BrokerSummary)| {
        let [replicas, leaders, disk, writes] = SHOWN.map(|resource| {
            let [before, after] = [before, after].map(|it| resource.figure(amount(it, resource)).to_string());
            if before == after { before } else { format!("{before} -> {after}") }
        });
        [before.broker.to_string(), replicas, leaders, disk, writes]
    };
    let columns = [numbers("BROKER"), numbers("REPLICAS"), numbers("LEADERS"), numbers("DISK"), numbers("WRITES")];
    output::table(columns, plan.before.iter().zip(&plan.after).map(row))
}

fn amount(summary: &BrokerSummary, resource: Resource) -> f64 {
    summary.amounts.iter().find(|(of, _)| *of == resource).map_or(0.0, |(_, amount)| *amount)
}

impl Shown {
    fn of(plan: &Plan) -> Self {
        let step = |step: &Step| ShownStep {
            partition: step.partition.to_string(),
            from: ids(&step.from),
            to: ids(&step.to),
            replica_bytes: step.replica_bytes,
            reason: step.reason.to_string(),
        };
        let broker = |(before, after): (&BrokerSummary, &BrokerSummary)| ShownBroker {
            broker: before.broker.get(),
            before: Carried::of(before),
            after: Carried::of(after),
        };
        let stuck = plan.stuck.iter();
        Self {
            steps: plan.steps.iter().map(step).collect(),
            stuck: stuck
                .map(|it| ShownStuck { partition: it.partition.to_string(), broker: it.broker.get() })
                .collect(),
            brokers: plan.before.iter().zip(&plan.after).map(broker).collect(),
            copied_bytes: plan.copied_bytes(),
        }
    }
}

impl Carried {
    fn of(summary: &BrokerSummary) -> Self {
        let amount = |resource| amount(summary, resource) as u64;
        Self {
            replicas: amount(Resource::Replicas),
            disk_bytes: amount(Resource::DiskBytes),
            write_bytes_per_s: amount(Resource::WriteRate),
            leaders: amount(Resource::Leaders),
            leader_bytes_per_s: amount(Resource::LeaderRate),
        }
    }
}
