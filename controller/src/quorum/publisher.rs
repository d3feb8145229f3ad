//! Publishers: who hears of each change of the metadata, and of its end.
//!
//! Owns the image that readers load, the list of publishers, and the failure that ended the controller, if one did.
//! Invariants: publishers are called in the order in which they subscribed, for one change after the other, with the image
//! already loadable; nobody is called for a later change before everybody was called for the earlier; a submission is
//! answered after that. Kafka: `MetadataPublisher`, `MetadataLoader`.

use std::fmt;
use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwap;
use parking_lot::Mutex;

use super::failure::ControllerFailure;
use crate::image::{MetadataDelta, MetadataImage};

/// Someone who acts on changes of the metadata.
pub trait MetadataPublisher: Send {
    /// Called for each change, on the controller's thread (the first call, which tells the image as it is, on the thread that
    /// subscribes). It must not block on the disk or on a submission to the controller.
    fn on_delta(&self, delta: &MetadataDelta, image: &Arc<MetadataImage>);

    /// Called at most once, on whichever thread notices that the controller stopped because of a failure. No delta follows.
    fn on_failure(&self, failure: &Arc<ControllerFailure>) {
        let _ = failure;
    }
}

/// What the controller shows the rest of the process.
pub(crate) struct Publication {
    image: ArcSwap<MetadataImage>,
    publishers: Mutex<Vec<Box<dyn MetadataPublisher>>>,
    failure: OnceLock<Arc<ControllerFailure>>,
}

impl Publication {
    pub(crate) fn new(image: MetadataImage) -> Self {
        Self { image: ArcSwap::from_pointee(image), publishers: Mutex::default(), failure: OnceLock::new() }
    }

    pub(crate) fn image(&self) -> Arc<MetadataImage> {
        self.image.load_full()
    }

    pub(crate) fn failure(&self) -> Option<&Arc<ControllerFailure>> {
        self.failure.get()
    }

    /// Tells `publisher` the image as it is, then adds it; no change can slip in between.
    pub(crate) fn subscribe(&self, publisher: Box<dyn MetadataPublisher>) {
        let mut publishers = self.publishers.lock();
        let image = self.image();
        publisher.on_delta(&MetadataDelta::between(&MetadataImage::default(), &image), &image);
        if let Some(failure) = self.failure() {
            publisher.on_failure(failure);
        }
        publishers.push(publisher);
    }

    /// Shows `image`, then tells every publisher what changed.
    pub(crate) fn publish(&self, delta: &MetadataDelta, image: MetadataImage) {
        let publishers = self.publishers.lock();
        let image = Arc::new(image);
        self.image.store(Arc::clone(&image));
        for publisher in publishers.iter() {
            publisher.on_delta(delta, &image);
        }
    }

    /// Records why the controller stopped and tells every publisher; only the first failure counts.
    pub(crate) fn fail(&self, failure: ControllerFailure) {
        let publishers = self.publishers.lock();
        if self.failure.set(Arc::new(failure)).is_err() {
            return;
        }
        let Some(failure) = self.failure() else { return };
        tracing::error!(%failure, "the controller stopped");
        for publisher in publishers.iter() {
            publisher.on_failure(failure);
        }
    }
}

impl fmt::Debug for Publication {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Publication").field("publishers", &self.publishers.lock().len()).finish_non_exhaustive()
    }
}
