//! `weir cluster describe`.

use serde::Serialize;
use weir_protocol::client::Admin;
use weir_protocol::messages::DescribeClusterResponse;

use crate::command_error::CommandError;
use crate::output::{self, Format, numbers, words};

#[derive(Debug, Serialize)]
struct Cluster {
    cluster_id: String,
    controller_id: Option<i32>,
    brokers: Vec<Broker>,
}

#[derive(Debug, Serialize)]
struct Broker {
    id: i32,
    host: String,
    port: i32,
    rack: Option<String>,
}

pub(super) async fn run(admin: &Admin, format: Format) -> Result<(), CommandError> {
    let described = admin.describe_cluster().await;
    let described = described.map_err(|error| CommandError::client("describe the cluster", error))?;
    let cluster = Cluster::from(&described);
    match format {
        Format::Json => output::print_json(&cluster),
        Format::Table => output::print(&cluster.table()),
    }
}

impl From<&DescribeClusterResponse> for Cluster {
    fn from(response: &DescribeClusterResponse) -> Self {
        let broker = |broker: &weir_protocol::messages::describe_cluster_response::DescribeClusterBroker| Broker {
            id: broker.broker_id.0,
            host: broker.host.to_string(),
            port: broker.port,
            rack: broker.rack.as_ref().map(ToString::to_string),
        };
        let mut brokers: Vec<_> = response.brokers.iter().map(broker).collect();
        brokers.sort_by_key(|broker| broker.id);
        Self {
            cluster_id: response.cluster_id.to_string(),
            controller_id: Some(response.controller_id.0).filter(|&id| id >= 0),
            brokers,
        }
    }
}

impl Cluster {
    fn table(&self) -> String {
        let columns = [numbers("BROKER"), words("HOST"), numbers("PORT"), words("RACK"), words("CONTROLLER")];
        let rows = self.brokers.iter().map(|broker| {
            let controller = if self.controller_id == Some(broker.id) { "yes" } else { "" };
            let rack = output::or_dash(broker.rack.as_ref());
            [broker.id.to_string(), broker.host.clone(), broker.port.to_string(), rack, controller.to_owned()]
        });
        format!("cluster {}\n\n{}", self.cluster_id, output::table(columns, rows))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_controller_is_marked() {
        let broker = |id| Broker { id, host: "host".to_owned(), port: 9092, rack: (id == 2).then(|| "a".to_owned()) };
        let cluster = Cluster { cluster_id: "id".into(), controller_id: Some(2), brokers: vec![broker(1), broker(2)] };
        let expected = "cluster id\n\n\
                        BROKER  HOST  PORT  RACK  CONTROLLER\n     1  host  9092  -\n     2  host  9092  a     yes";
        assert_eq!(cluster.table(), expected);
    }
}
