//! Publishers hear of every change, in order, before who asked for it is answered.

use std::sync::Arc;

use parking_lot::Mutex;
use weir_controller::image::{MetadataDelta, MetadataImage};
use weir_controller::quorum::MetadataPublisher;

use crate::cluster::{Cluster, create};

/// Writes down the topics of each delta, and whether the image it came with has them.
#[derive(Clone, Default)]
struct Notes(Arc<Mutex<Vec<Vec<String>>>>);

impl MetadataPublisher for Notes {
    fn on_delta(&self, delta: &MetadataDelta, image: &Arc<MetadataImage>) {
        let mut names = delta.topics.values().map(|topic| topic.name.to_string()).collect::<Vec<_>>();
        names.sort();
        for name in &names {
            assert!(image.topic_by_name(name).is_some());
        }
        self.0.lock().push(names);
    }
}

#[test]
fn a_submission_is_answered_after_every_publisher_heard() {
    let cluster = Cluster::new();
    let notes = [Notes::default(), Notes::default()];
    for publisher in &notes {
        cluster.controller.subscribe(Box::new(publisher.clone()));
    }
    for topic in ["a", "b", "c"] {
        cluster.create(topic);
        for publisher in &notes {
            assert_eq!(publisher.0.lock().last(), Some(&vec![topic.to_string()]));
        }
    }
}

#[test]
fn a_late_subscriber_is_told_the_image_as_it_is_and_then_every_change_once() {
    let cluster = Cluster::new();
    cluster.create("early");
    let notes = Notes::default();
    cluster.runtime.block_on(async {
        let pending =
            (0..100).map(|topic| tokio::spawn(cluster.controller.submit(create(&format!("t-{topic}"), 1).into())));
        let pending = pending.collect::<Vec<_>>();
        tokio::task::yield_now().await;
        cluster.controller.subscribe(Box::new(notes.clone()));
        for answer in pending {
            answer.await.unwrap().unwrap();
        }
    });
    let heard = notes.0.lock();
    assert!(heard[0].contains(&"early".to_string()));
    let mut all = heard.iter().flatten().collect::<Vec<_>>();
    all.sort();
    let count = all.len();
    all.dedup();
    assert_eq!((all.len(), count), (101, 101));
}
