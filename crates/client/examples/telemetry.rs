//! Sends ten messages.
//!
//! Start `drawspan emulator`, which prints connection strings and where its certificate is, then:
//!
//! ```sh
//! DEVICE_CONNECTION_STRING='HostName=…;DeviceId=…;SharedAccessKey=…' CA_FILE=ca.pem CONNECT_TO=127.0.0.1:5671 \
//!     cargo run -p drawspan-client --example telemetry
//! ```

mod common;

use std::error::Error;

use drawspan_client::DeviceClient;
use drawspan_hub::Telemetry;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let (device, _events) = DeviceClient::connect(common::options()?).await?;
    for number in 1..=10 {
        let message = Telemetry {
            body: format!(r#"{{"number":{number}}}"#).into(),
            content_type: Some("application/json".into()),
            content_encoding: Some("utf-8".into()),
            properties: vec![("kind".into(), "example".into())],
            ..Telemetry::default()
        };
        device.send(&message).await?;
        println!("the hub has message {number}");
    }
    device.close().await;
    Ok(())
}
