//! The states of a classic group (Kafka's `ClassicGroupState`).
//!
//! ```text
//!            first member joins             all joined, or time is up
//!   Empty ───────────────────► PreparingRebalance ──────────────────► CompletingRebalance
//!     ▲                          │    ▲    ▲  ▲                              │   │
//!     └── everyone is gone ──────┘    │    └──┼── join, leave, silence ──────┘   │ leader's SyncGroup
//!                                     │       └──────────── Stable ◄─────────────┘
//!                                     └── join, leave, silence ─┘
//! ```
//!
//! Kafka's fifth state, Dead, is a group that is not here: it is only ever printed.

/// Where a classic group stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ClassicState {
    /// No members.
    Empty,
    /// Members are asked to (re)join.
    PreparingRebalance,
    /// Members have joined; the leader's assignment is awaited.
    CompletingRebalance,
    /// Every member can have its assignment.
    Stable,
}

impl ClassicState {
    /// How DescribeGroups and ListGroups print a group that does not exist.
    pub const DEAD: &'static str = "Dead";

    /// Kafka's name.
    pub fn name(self) -> &'static str {
        match self {
            ClassicState::Empty => "Empty",
            ClassicState::PreparingRebalance => "PreparingRebalance",
            ClassicState::CompletingRebalance => "CompletingRebalance",
            ClassicState::Stable => "Stable",
        }
    }

    /// Whether the drawing above has an arrow from here to `next`.
    pub(crate) fn leads_to(self, next: ClassicState) -> bool {
        use ClassicState::{CompletingRebalance, Empty, PreparingRebalance, Stable};
        matches!(
            (self, next),
            (Empty | CompletingRebalance | Stable, PreparingRebalance)
                | (PreparingRebalance, CompletingRebalance | Empty)
                | (CompletingRebalance, Stable)
        )
    }
}
