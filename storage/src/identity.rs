//! Who a log directory belongs to: meta.properties, lock, clean shutdown marker.
