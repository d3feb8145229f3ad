//! CreatePartitions (37): adds partitions to topics (KIP-195).

use weir_controller::decide::{ControllerResponse, CreatePartitionsRequest as Decide, NewPartitions};
use weir_protocol::error_code::ErrorCode;
use weir_protocol::messages::create_partitions_request::CreatePartitionsTopic;
use weir_protocol::messages::create_partitions_response::CreatePartitionsTopicResult;
use weir_protocol::messages::{CreatePartitionsRequest, CreatePartitionsResponse, StrBytes};

use super::call::Call;
use super::wire::{error_fields, our_broker_ids, owned, topic_name};
use crate::administration::Administration;
use crate::net::Dispatch;

pub(super) fn handle(call: Call<Administration>, request: CreatePartitionsRequest) -> Dispatch {
    let topics: Vec<NewPartitions> = request.topics.iter().map(new_partitions).collect();
    let names: Vec<_> = topics.iter().map(|topic| topic.name.clone()).collect();
    let decide = Decide { topics, validate_only: request.validate_only };
    call.later(async move |call| {
        let refused = |code: ErrorCode| {
            let refused = names.iter().map(|name| {
                CreatePartitionsTopicResult::default()
                    .with_name(topic_name(name))
                    .with_error_code(code.code())
                    .with_error_message(Some(StrBytes::from_static_str(code.message())))
            });
            refused.collect()
        };
        let results = match call.node.submit(decide).await {
            Ok(ControllerResponse::CreatePartitions(response)) => {
                let results = response.topics.into_iter().map(|result| {
                    let (code, message) = error_fields(&result.outcome);
                    CreatePartitionsTopicResult::default()
                        .with_name(topic_name(&result.name))
                        .with_error_code(code)
                        .with_error_message(message)
                });
                results.collect()
            }
            Ok(_) => refused(ErrorCode::UnknownServerError),
            Err(code) => refused(code),
        };
        CreatePartitionsResponse::default().with_results(results)
    })
}

fn new_partitions(topic: &CreatePartitionsTopic) -> NewPartitions {
    let assignments = topic.assignments.as_ref();
    NewPartitions {
        name: owned(&topic.name.0),
        count: topic.count,
        assignments: assignments.map(|all| all.iter().map(|one| our_broker_ids(&one.broker_ids)).collect()),
    }
}
