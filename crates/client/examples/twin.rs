//! Reads the twin, reports a property, and shows changes of desired properties until it is interrupted.
//!
//! ```sh
//! DEVICE_CONNECTION_STRING='HostName=…;DeviceId=…;SharedAccessKey=…' CA_FILE=ca.pem CONNECT_TO=127.0.0.1:5671 \
//!     cargo run -p drawspan-client --example twin
//! ```
//!
//! See `telemetry.rs` for what these mean.

mod common;

use std::error::Error;

use drawspan_client::{DeviceClient, DeviceEvent};
use drawspan_hub::Wants;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut options = common::options()?;
    options.reconnect = true;
    options.wants = Wants {
        desired: true,
        ..Wants::default()
    };
    let (device, mut events) = DeviceClient::connect(options).await?;
    show("twin", &device.twin().await?);
    let version = device.report(r#"{"example":{"started":true}}"#).await?;
    println!("reported, now version {version:?}");
    while let Some(event) = events.next().await {
        match event {
            DeviceEvent::Desired(change) => show("changed", &change),
            // Changes that happened meanwhile are not reported: the whole twin includes them.
            DeviceEvent::Connected | DeviceEvent::DesiredMissed => {
                show("twin", &device.twin().await?);
            }
            other => println!("{other:?}"),
        }
    }
    Ok(())
}

fn show(what: &str, json: &[u8]) {
    println!("{what}: {}", String::from_utf8_lossy(json));
}
