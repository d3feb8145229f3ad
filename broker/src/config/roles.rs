//! `process.roles`: what a node is (KIP-631).

use super::definition::list;
use super::settings::Settings;

/// What a node is: a broker, a controller, or both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Roles {
    /// It serves clients and holds partitions.
    pub broker: bool,
    /// It may vote in the metadata quorum.
    pub controller: bool,
}

impl Roles {
    /// What the configuration says; both where it says nothing.
    pub fn of(settings: &Settings) -> Self {
        let has = |role| list(settings.text("process.roles")).any(|word| word == role);
        match (has("broker"), has("controller")) {
            (false, false) => Self { broker: true, controller: true },
            (broker, controller) => Self { broker, controller },
        }
    }

    /// A controller and nothing else.
    pub fn is_controller_only(self) -> bool {
        self.controller && !self.broker
    }

    /// A broker and nothing else.
    pub fn is_broker_only(self) -> bool {
        self.broker && !self.controller
    }
}
