//! Finds a topic by name, and names its neighbours when there is none.

use std::time::Duration;

use weir_protocol::client::{Admin, ClientError, TopicMetadata};
use weir_protocol::error_code::ErrorCode;

use crate::command_error::CommandError;
use crate::nearest::nearest;

/// A topic that was just created may not have reached the broker that is asked: it is asked this often.
const ATTEMPTS: u32 = 4;
const PAUSE: Duration = Duration::from_millis(50);

/// The topic of this name.
pub(crate) async fn find(admin: &Admin, name: &str) -> Result<TopicMetadata, CommandError> {
    for attempt in 1.. {
        let found = describe(admin, name).await;
        match found {
            Err(error) if is_unknown(&error) => {}
            found => return found.map_err(|error| CommandError::client(format!("find topic {name}"), error)),
        }
        if attempt == ATTEMPTS {
            break;
        }
        tokio::time::sleep(PAUSE).await;
    }
    Err(unknown(admin, name).await)
}

async fn describe(admin: &Admin, name: &str) -> Result<TopicMetadata, ClientError> {
    let mut described = admin.describe_topics(&[name]).await?;
    match described.pop() {
        Some((_, found)) => found,
        None => Err(ClientError::UnknownTopicOrPartition { subject: name.to_owned() }),
    }
}

fn is_unknown(error: &ClientError) -> bool {
    let code = Some(ErrorCode::UnknownTopicOrPartition);
    matches!(error, ClientError::UnknownTopicOrPartition { .. }) || error.code() == code
}

/// Whether the topic is there and each of its partitions can be written.
pub(crate) async fn all_have_leaders(admin: &Admin, name: &str) -> bool {
    let all_led = |topic: TopicMetadata| topic.partitions.values().all(|partition| partition.leader.is_some());
    describe(admin, name).await.is_ok_and(all_led)
}

/// The error for a name that no topic has.
pub(crate) async fn unknown(admin: &Admin, name: &str) -> CommandError {
    // Without a list there is still the error itself.
    let known = admin.list_topics().await.unwrap_or_default();
    let nearest = nearest(name, known.keys().map(|name| &**name));
    CommandError::UnknownTopic { name: name.to_owned(), nearest }
}
