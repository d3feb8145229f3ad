//! The answers of one connection, in request order: later ones wait behind the first that is not ready.

use std::collections::VecDeque;
use std::task::{Context, Poll};

use super::handler::{Dispatch, WaitingResponse};
use super::outbox::Outbox;
use super::response::Response;

/// Room kept when nothing is in flight.
const MAX_KEPT_SLOTS: usize = 16;

enum Slot {
    Ready(Response),
    Waiting(WaitingResponse),
}

/// Requests that are dispatched and whose answers have not reached the outbox.
#[derive(Default)]
pub(super) struct Answers {
    slots: VecDeque<Slot>,
    waiting: usize,
    ends: bool,
}

impl Answers {
    /// Takes what the ordered stage made of the next request.
    pub(super) fn push(&mut self, dispatched: Dispatch, outbox: &mut Outbox) {
        match dispatched {
            Dispatch::Ready(response) => self.push_ready(response, outbox),
            Dispatch::Waiting(response) => {
                self.waiting += 1;
                self.slots.push_back(Slot::Waiting(response));
            }
            Dispatch::None => {}
            Dispatch::Close => self.push_ready(Response::close(), outbox),
        }
    }

    fn push_ready(&mut self, response: Response, outbox: &mut Outbox) {
        if self.slots.is_empty() {
            self.release(response, outbox);
        } else {
            self.slots.push_back(Slot::Ready(response));
        }
    }

    fn release(&mut self, response: Response, outbox: &mut Outbox) {
        if !self.ends {
            self.ends = response.then_close;
            outbox.push(response);
        }
    }

    /// Lets waiting answers make progress and moves what is ready, in order, to the outbox.
    pub(super) fn poll(&mut self, context: &mut Context<'_>, outbox: &mut Outbox) {
        if self.waiting > 0 {
            for slot in &mut self.slots {
                if let Slot::Waiting(future) = slot
                    && let Poll::Ready(response) = future.as_mut().poll(context)
                {
                    *slot = Slot::Ready(response);
                    self.waiting -= 1;
                }
            }
        }
        while let Some(Slot::Ready(_)) = self.slots.front() {
            if let Some(Slot::Ready(response)) = self.slots.pop_front() {
                self.release(response, outbox);
            }
        }
        if self.slots.is_empty() && self.slots.capacity() > MAX_KEPT_SLOTS {
            self.slots = VecDeque::new();
        }
    }

    /// Requests in flight.
    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Whether an answer closed the connection: nothing follows it.
    pub(super) fn ended(&self) -> bool {
        self.ends
    }
}
