//! The records of a snapshot rebuild the image.

use proptest::prelude::*;
use weir_controller::image::MetadataImage;
use weir_controller::record::{ClusterIdRecord, FeatureLevelRecord, MetadataRecord, decode_change, encode_change};

use crate::generate::{history, register, replay, topic};

#[test]
fn the_cluster_id_and_the_metadata_version_come_first() {
    let level = |name: &str| MetadataRecord::from(FeatureLevelRecord { name: name.into(), level: 1 });
    let cluster_id = MetadataRecord::from(ClusterIdRecord { cluster_id: "A".into() });
    let image =
        replay(&[topic("a", 1), register(1, 1), level("group.version"), level("metadata.version"), cluster_id.clone()]);
    let records: Vec<_> = image.to_records().take(3).collect();
    assert_eq!(records, [cluster_id, level("metadata.version"), level("group.version")]);
}

proptest! {
    #[test]
    fn replaying_an_images_records_gives_an_equal_image(history in history()) {
        let image = replay(&history);
        let records: Vec<_> = image.to_records().collect();
        prop_assert_eq!(&replay(&records), &image);
        let through_bytes = decode_change(&encode_change(&records).unwrap()).unwrap();
        prop_assert_eq!(&replay(&through_bytes), &image);
    }

    #[test]
    fn equal_images_have_equal_records(history in history()) {
        let image = replay(&history);
        let again: MetadataImage = replay(&image.to_records().collect::<Vec<_>>());
        prop_assert!(image.to_records().eq(again.to_records()));
    }
}
