//! Answers direct methods until it is interrupted: `echo` with what it was given, all others with 404.
//!
//! ```sh
//! DEVICE_CONNECTION_STRING='HostName=…;DeviceId=…;SharedAccessKey=…' CA_FILE=ca.pem CONNECT_TO=127.0.0.1:5671 \
//!     cargo run -p drawspan-client --example methods
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
        methods: true,
        ..Wants::default()
    };
    let (_device, mut events) = DeviceClient::connect(options).await?;
    while let Some(event) = events.next().await {
        match event {
            DeviceEvent::Method(call) => {
                println!("{} was called", call.name());
                match call.name() {
                    "echo" => {
                        let payload = call.payload().clone();
                        call.answer(200, Some(payload));
                    }
                    _ => call.answer(404, None),
                }
            }
            other => println!("{other:?}"),
        }
    }
    Ok(())
}
