//! Why a command failed, in a sentence, and what to do next. One place decides on words and exit codes.
//!
//! Whoever reads our output may leave before its end (`weir consume t | head -1`): that is no failure and says nothing.

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use weir_protocol::client::{ClientError, TlsConfigError};
use weir_protocol::error_code::ErrorCode;

/// The exit code of a command that was called wrongly; clap's own.
const USAGE: u8 = 2;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CommandError {
    /// It cannot have been meant so.
    #[error("{0}")]
    Usage(String),
    /// The broker could not start or run.
    #[error("{0}")]
    Serve(String),
    /// The cluster did not do it.
    #[error("cannot {doing}: {}", reason(.source))]
    Client {
        /// What was tried, after "cannot".
        doing: String,
        /// Why not.
        source: Box<ClientError>,
    },
    /// No such topic.
    #[error("there is no topic {name}{}", did_you_mean(.nearest))]
    UnknownTopic {
        /// What was asked for.
        name: String,
        /// Topics with names that come close.
        nearest: Vec<String>,
    },
    /// No such partition.
    #[error("topic {topic} has no partition {partition}: its partitions are 0 to {}", .partitions - 1)]
    UnknownPartition {
        /// The topic.
        topic: String,
        /// What was asked for.
        partition: i32,
        /// How many it has.
        partitions: usize,
    },
    /// Replicas of a drained broker that no other broker can take.
    #[error(
        "{count} replicas of broker {broker} have nowhere to go, that of {first} among them: none of the {brokers} brokers in service \
         takes replicas, has room and has not one already"
    )]
    NowhereToGo {
        /// The broker.
        broker: i32,
        /// How many.
        count: usize,
        /// One of them.
        first: String,
        /// How many brokers serve.
        brokers: usize,
    },
    /// A move whose replicas are not those that were asked for, in the end.
    #[error("{partition} was not moved: somebody called the move off")]
    CalledOff {
        /// Which.
        partition: String,
    },
    /// Somebody wanted the command to end before what it watches had.
    #[error("interrupted: moves that were begun go on{}", if *.is_throttled { ", and stay throttled" } else { "" })]
    Interrupted {
        /// Whether a throttle is left.
        is_throttled: bool,
    },
    /// A file cannot be read.
    #[error("cannot read {}: {source}", .path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// The system's word.
        source: io::Error,
    },
    /// TLS files that are none.
    #[error(transparent)]
    Tls(#[from] TlsConfigError),
    /// What was to be produced is no good.
    #[error(transparent)]
    Input(#[from] crate::produce::InputError),
    /// Where to begin reading is no good.
    #[error(transparent)]
    Start(#[from] crate::consume::StartError),
    /// Standard output failed.
    #[error("cannot write the output: {0}")]
    Output(io::Error),
    /// The system gave no event queue.
    #[error("cannot start: {0}")]
    Runtime(io::Error),
    /// Several things were asked for, and these failed.
    #[error("{} of them failed", .0.len())]
    Several(Vec<CommandError>),
}

impl CommandError {
    /// `doing` failed because of `source`.
    pub(crate) fn client(doing: impl Into<String>, source: ClientError) -> Self {
        Self::Client { doing: doing.into(), source: Box::new(source) }
    }

    /// All failures of a command that goes on after one.
    pub(crate) fn all(mut failures: Vec<CommandError>) -> Result<(), CommandError> {
        match failures.len() {
            0 => Ok(()),
            1 => Err(failures.remove(0)),
            _ => Err(Self::Several(failures)),
        }
    }

    /// Says what is wrong on standard error, and gives the exit code.
    pub(crate) fn report(&self) -> ExitCode {
        match self {
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => return ExitCode::SUCCESS,
            Self::Several(failures) => failures.iter().for_each(Self::tell),
            _ => self.tell(),
        }
        match self {
            Self::Usage(_) => ExitCode::from(USAGE),
            _ => ExitCode::FAILURE,
        }
    }

    fn tell(&self) {
        use io::Write;
        let hint = self.hint().map_or_else(String::new, |hint| format!("\n  {hint}"));
        // With standard error closed there is nobody left to tell.
        let _ = writeln!(io::stderr(), "weir: {self}{hint}");
    }

    /// What to do next, where there is something.
    fn hint(&self) -> Option<String> {
        match self {
            Self::UnknownTopic { name, .. } => {
                Some(format!("`weir topic list` shows what there is, `weir topic create {name}` creates it"))
            }
            Self::NowhereToGo { .. } => Some("add a broker, or give the topics fewer replicas".to_owned()),
            Self::Interrupted { is_throttled } => {
                let unthrottle = match is_throttled {
                    true => "; `weir partition unthrottle` takes the throttle away, when they have ended or before",
                    false => "",
                };
                Some(format!("`weir partition moves` shows them, `weir partition cancel` calls them off{unthrottle}"))
            }
            Self::Client { source, .. } => client_hint(source).map(str::to_owned),
            _ => None,
        }
    }
}

fn client_hint(error: &ClientError) -> Option<&'static str> {
    match error {
        ClientError::NoBroker { attempts } => attempts.iter().find_map(|(_, error)| client_hint(error)),
        ClientError::Connect { source, .. } if source.kind() == io::ErrorKind::ConnectionRefused => Some(
            "is a broker running? `weir serve` starts one; --bootstrap host:port (or WEIR_BOOTSTRAP) names another",
        ),
        ClientError::Connect { .. } | ClientError::ConnectTimeout { .. } => {
            Some("check the address: --bootstrap host:port, or WEIR_BOOTSTRAP")
        }
        ClientError::Tls { .. } => Some("--tls-ca FILE names the CA that signed the broker's certificate"),
        ClientError::Disconnected { .. } => {
            Some("if this is a TLS listener, say --tls-ca FILE; if not, the broker's log says why it closed")
        }
        ClientError::RetriesExhausted { last, .. } => client_hint(last),
        ClientError::Refused { code, .. } => match code {
            ErrorCode::TopicAlreadyExists => Some("--if-not-exists takes an existing topic as success"),
            ErrorCode::InvalidReplicationFactor => Some("`weir cluster describe` lists the brokers"),
            ErrorCode::InvalidConfig => Some("`weir topic describe NAME --all-configs` lists names and values"),
            ErrorCode::MessageTooLarge => {
                Some("`weir topic alter NAME --set max.message.bytes=BYTES` allows larger ones")
            }
            ErrorCode::OffsetOutOfRange => {
                Some("the records there were deleted, or never written; --from earliest begins at what is kept")
            }
            ErrorCode::LogDirNotFound => Some("`weir cluster dirs` lists each broker's directories"),
            ErrorCode::ReplicaNotAvailable => {
                Some("the broker has no replica of it; one that comes there will be made in that directory")
            }
            _ => None,
        },
        _ => None,
    }
}

/// The cause for people: the broker's own words, and Kafka's name of the error to search for.
fn reason(error: &ClientError) -> String {
    match error {
        ClientError::Refused { code, message, .. } => {
            format!("{} ({})", message.as_deref().unwrap_or_else(|| code.message()), code.name())
        }
        ClientError::Connect { address, source } => format!("no connection to {address}: {source}"),
        ClientError::NoBroker { attempts } if !attempts.is_empty() => {
            attempts.iter().map(|(_, error)| reason(error)).collect::<Vec<_>>().join("; ")
        }
        ClientError::RetriesExhausted { attempts, last } => format!("{} (tried {attempts} times)", reason(last)),
        other => other.to_string(),
    }
}

fn did_you_mean(nearest: &[String]) -> String {
    match nearest {
        [] => String::new(),
        _ => format!("; did you mean {}?", nearest.join(" or ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use weir_protocol::client::Address;
    use weir_protocol::messages::ApiKey;

    #[test]
    fn a_refused_connection_says_how_to_start_a_broker() {
        let address = Address::new("127.0.0.1", 9092);
        let source = Arc::new(io::Error::from(io::ErrorKind::ConnectionRefused));
        let connect = Arc::new(ClientError::Connect { address: address.clone(), source });
        let error = CommandError::client("list topics", ClientError::NoBroker { attempts: vec![(address, connect)] });
        assert_eq!(error.to_string(), "cannot list topics: no connection to 127.0.0.1:9092: connection refused");
        assert!(error.hint().unwrap().contains("`weir serve`"));
    }

    #[test]
    fn a_refusal_is_in_the_brokers_words_with_the_name_of_the_code() {
        let refused = |message: Option<&str>| {
            let (address, subject) = (Address::new("b", 1), "t".to_owned());
            let (code, message) = (ErrorCode::InvalidPartitions, message.map(str::to_owned));
            reason(&ClientError::Refused { address, api: ApiKey::CreateTopics, subject, code, message })
        };
        assert_eq!(refused(Some("No.")), "No. (INVALID_PARTITIONS)");
        assert_eq!(refused(None), format!("{} (INVALID_PARTITIONS)", ErrorCode::InvalidPartitions.message()));
    }

    #[test]
    fn an_unknown_topic_names_its_neighbours() {
        let error = |nearest| CommandError::UnknownTopic { name: "gretings".to_owned(), nearest }.to_string();
        assert_eq!(error(vec![]), "there is no topic gretings");
        assert_eq!(error(vec!["greetings".into()]), "there is no topic gretings; did you mean greetings?");
    }
}
