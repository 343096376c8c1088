//! What all examples share: the device and its hub, from the environment.

use std::env;
use std::error::Error;

use drawspan_client::DeviceOptions;
use drawspan_hub::DeviceConnectionString;
use drawspan_net::{Connector, Route, client_config};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

/// * `DEVICE_CONNECTION_STRING`: `HostName=…;DeviceId=…;SharedAccessKey=…`
/// * `CA_FILE`: authorities to trust instead of the system's, such as the `ca.pem` of the emulator.
/// * `CONNECT_TO`: an address to connect to instead of the hub's, such as `127.0.0.1:5671`.
pub(crate) fn options() -> Result<DeviceOptions, Box<dyn Error>> {
    let text = env::var("DEVICE_CONNECTION_STRING")
        .map_err(|_| "DEVICE_CONNECTION_STRING is not set: it names the device and its key")?;
    let connection_string = DeviceConnectionString::parse(&text)?;
    let authorities = match env::var_os("CA_FILE") {
        Some(path) => CertificateDer::pem_file_iter(path)?.collect::<Result<_, _>>()?,
        None => Vec::new(),
    };
    let routes = match env::var("CONNECT_TO") {
        Ok(to) => vec![Route {
            host: connection_string.host.as_str().to_owned(),
            port: None,
            to: to.parse()?,
        }],
        Err(_) => Vec::new(),
    };
    let connector = Connector::new(client_config(authorities)?, routes);
    Ok(DeviceOptions::new(connection_string, connector))
}
