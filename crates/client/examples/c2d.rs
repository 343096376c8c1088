//! Takes cloud-to-device messages until it is interrupted.
//!
//! ```sh
//! DEVICE_CONNECTION_STRING='HostName=…;DeviceId=…;SharedAccessKey=…' CA_FILE=ca.pem CONNECT_TO=127.0.0.1:5671 \
//!     cargo run -p drawspan-client --example c2d
//! ```
//!
//! See `telemetry.rs` for what these mean.

mod common;

use std::error::Error;

use drawspan_client::{DeviceClient, DeviceEvent};
use drawspan_hub::{Outcome, Receive, Wants};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut options = common::options()?;
    options.reconnect = true;
    options.wants = Wants {
        c2d: Receive::Flowing,
        ..Wants::default()
    };
    let (_device, mut events) = DeviceClient::connect(options).await?;
    while let Some(event) = events.next().await {
        match event {
            DeviceEvent::Message(received) => {
                let message = received.message();
                println!("{}", String::from_utf8_lossy(&message.body));
                for (name, value) in &message.properties {
                    println!("  {name}: {value}");
                }
                // Only now does the hub forget it. One that is not taken comes again: at least once.
                if let Err(failure) = received.settle(Outcome::Complete).await {
                    println!("  it will come again: {failure}");
                }
            }
            other => println!("{other:?}"),
        }
    }
    Ok(())
}
