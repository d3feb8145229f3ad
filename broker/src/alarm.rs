//! A timer that stays armed from one wait to the next.
//!
//! A wait for records usually ends long before its deadline, and the next one begins at once with a deadline a little later.
//! A timer of its own for each would be told to the runtime every time, which wakes its own thread for it: a write to an
//! event descriptor and another look for events, for each record of a consumer that keeps up. So the timer is left as it
//! is; it fires early once in the time of a whole wait, and is then set to the deadline that holds by then.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::time::{Instant, Sleep, sleep_until};

/// The timer, once a wait needed it.
#[derive(Debug, Default)]
pub struct Alarm {
    timer: Option<Pin<Box<Sleep>>>,
}

impl Alarm {
    /// Ready at `deadline`, which may be another one each time.
    pub fn poll(&mut self, context: &mut Context<'_>, deadline: Instant) -> Poll<()> {
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        if timer.deadline() > deadline {
            timer.as_mut().reset(deadline);
        }
        loop {
            ready!(timer.as_mut().poll(context));
            if timer.deadline() >= deadline {
                return Poll::Ready(());
            }
            // It was armed for an earlier wait.
            timer.as_mut().reset(deadline);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::time::Duration;

    use super::*;

    fn run(test: impl Future<Output = ()>) {
        tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(test);
    }

    async fn is_due(alarm: &mut Alarm, deadline: Instant) -> bool {
        poll_fn(|context| Poll::Ready(alarm.poll(context, deadline).is_ready())).await
    }

    #[test]
    fn a_later_deadline_leaves_the_timer_armed_and_is_waited_for() {
        run(async {
            let mut alarm = Alarm::default();
            let first = Instant::now() + Duration::from_millis(2);
            let second = first + Duration::from_millis(3);
            assert!(!is_due(&mut alarm, first).await);
            assert!(!is_due(&mut alarm, second).await);
            assert_eq!(alarm.timer.as_ref().map(|timer| timer.deadline()), Some(first));
            poll_fn(|context| alarm.poll(context, second)).await;
            assert!(Instant::now() >= second);
        });
    }

    #[test]
    fn an_earlier_deadline_is_not_missed() {
        run(async {
            let mut alarm = Alarm::default();
            let early = Instant::now() + Duration::from_millis(2);
            assert!(!is_due(&mut alarm, early + Duration::from_secs(3600)).await);
            poll_fn(|context| alarm.poll(context, early)).await;
            assert!(Instant::now() >= early);
        });
    }

    #[test]
    fn a_timer_that_fired_long_ago_waits_again() {
        run(async {
            let mut alarm = Alarm::default();
            let past = Instant::now();
            poll_fn(|context| alarm.poll(context, past)).await;
            let next = Instant::now() + Duration::from_millis(2);
            assert!(!is_due(&mut alarm, next).await);
            poll_fn(|context| alarm.poll(context, next)).await;
            assert!(Instant::now() >= next);
        });
    }
}
