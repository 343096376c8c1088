//! Devices above their limits, and who used how much.

use bytes::Bytes;
use drawspan_fleet::usage::DeviceLimits;
use drawspan_gateway::{
    DeviceError, DeviceGateway as _, DeviceLimit, Prefix, Usage, UsageOrder, UsageQuery,
    UsageReports as _, Used,
};
use drawspan_hub::Telemetry;
use drawspan_hub::limits::{HubSize, Rate};
use drawspan_runtime::Gateway;

use crate::stand::{Stand, id, soon};

async fn send(bridge: &Gateway, device: &str, bytes: usize) -> Result<(), DeviceError> {
    let body = Bytes::from(vec![b' '; bytes]);
    bridge.send(id(device), Telemetry::json(body), soon()).await
}

async fn usage(bridge: &Gateway, prefix: &str) -> Usage {
    let query = UsageQuery {
        prefix: Prefix::parse(prefix).unwrap(),
        order: UsageOrder::Blocks,
        limit: 10,
    };
    bridge.usage(query).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_above_its_limits_is_refused_at_once_and_costs_the_others_nothing() {
    let stand = Stand::start(&["noisy", "large"]).await;
    let limits = DeviceLimits {
        // One a minute: no second passes for it in this test.
        rate: Some(Rate::per_minute(1)),
        daily_blocks: Some(3),
    };
    let bridge = stand.bridge_with(|config| {
        config.device_limits = limits;
        config.hub_size = Some(HubSize::S1);
    });
    assert_eq!(send(&bridge, "noisy", 100).await, Ok(()));
    for _ in 0..3 {
        let refused = send(&bridge, "noisy", 100).await.unwrap_err();
        let DeviceError::OverLimit {
            limit: DeviceLimit::Rate(rate),
            retry_after_s: 1..=60,
        } = refused
        else {
            panic!("{refused:?}");
        };
        assert_eq!(rate, Rate::per_minute(1));
    }
    // Four blocks are more than a day's.
    let refused = send(&bridge, "large", 4 * 4_096).await.unwrap_err();
    let DeviceError::OverLimit {
        limit: DeviceLimit::DailyBlocks(3),
        retry_after_s: 1..=86_400,
    } = refused
    else {
        panic!("{refused:?}");
    };
    assert_eq!(send(&bridge, "large", 2 * 4_096).await, Ok(()));

    let all = usage(&bridge, "").await;
    let of_devices: Vec<_> = all
        .devices
        .iter()
        .map(|device| {
            (
                device.device.as_str(),
                device.used.sends,
                device.used.blocks,
            )
        })
        .collect();
    // The body and what is said of it make a third block.
    assert_eq!(of_devices, [("large", 1, 3), ("noisy", 1, 1)]);
    let used = Used {
        sends: 2,
        blocks: 4,
    };
    assert_eq!(all.hubs.len(), 1);
    assert_eq!((all.hubs[0].used, all.hubs[0].devices), (used, 2));
    assert_eq!(all.hubs[0].daily_blocks, Some(400_000));
    assert!(all.since < all.until);
    let some = usage(&bridge, "no").await;
    assert_eq!(some.devices.len(), 1);
    assert_eq!(some.hubs[0].used.blocks, 1);
}
