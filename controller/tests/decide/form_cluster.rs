//! FormCluster.

use weir_controller::decide::FormClusterRequest;
use weir_controller::image::MetadataImage;
use weir_controller::record::{ClusterIdRecord, FeatureLevelRecord};

use crate::cluster::{Cluster, decided};

fn request(cluster_id: &str) -> FormClusterRequest {
    FormClusterRequest { cluster_id: cluster_id.into(), features: vec![("metadata.version".into(), 25)] }
}

#[test]
fn a_cluster_gets_its_id_and_features_once() {
    let mut cluster = Cluster::of(&[]);
    cluster.image = MetadataImage::default();
    let (records, response) = decided!(cluster, FormCluster(request("first")));
    let feature = FeatureLevelRecord { name: "metadata.version".into(), level: 25 };
    assert_eq!(records, [ClusterIdRecord { cluster_id: "first".into() }.into(), feature.into()]);
    assert!(response.formed);
    let (records, response) = decided!(cluster, FormCluster(request("second")));
    assert_eq!(records, []);
    assert_eq!((&*response.cluster_id, response.formed), ("first", false));
}
