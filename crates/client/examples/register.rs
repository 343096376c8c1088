//! Registers devices of an enrollment group, `load-1` to `load-COUNT`, and says how long that took.
//!
//! Start `drawspan emulator`, which prints id scope and group key and where its certificate is, then:
//!
//! ```sh
//! ID_SCOPE=… GROUP_KEY=… DPS=localhost CA_FILE=ca.pem CONNECT_TO=127.0.0.1:443 \
//!     cargo run --release -p drawspan-client --example register -- 1000
//! ```
//!
//! * `DPS`: the service's host name, instead of the one that all tenants share.
//! * `CA_FILE`: authorities to trust instead of the system's.
//! * `CONNECT_TO`: an address to connect to instead of the service's.

use std::collections::BTreeMap;
use std::env;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use drawspan_client::dps::{DpsClient, DpsConfig, GLOBAL_ENDPOINT};
use drawspan_client::{Credentials, KeyPair, Keys};
use drawspan_hub::{DeviceId, HostName, SymmetricKey, WhichKey};
use drawspan_net::{Connector, Route, client_config};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tokio::task::JoinSet;
use tokio::time::Instant;

const DEADLINE: Duration = Duration::from_secs(300);

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let count: u32 = env::args().nth(1).map_or(Ok(1), |text| text.parse())?;
    let (client, started) = (Arc::new(DpsClient::new(config()?)), Instant::now());
    let mut under_way = JoinSet::new();
    for number in 1..=count {
        let (client, device) = (
            Arc::clone(&client),
            DeviceId::parse(&format!("load-{number}"))?,
        );
        under_way.spawn(async move {
            let deadline = started + DEADLINE;
            client
                .register(&device, WhichKey::Primary, None, deadline)
                .await
        });
    }
    let mut outcomes = BTreeMap::<String, u32>::new();
    while let Some(ended) = under_way.join_next().await {
        let outcome = match ended? {
            Ok(assigned) => format!("assigned to {}", assigned.hub),
            Err(failure) => failure.to_string(),
        };
        *outcomes.entry(outcome).or_default() += 1;
    }
    for (outcome, count) in outcomes {
        println!("{count} {outcome}");
    }
    println!("{:.2} s", started.elapsed().as_secs_f64());
    Ok(())
}

fn config() -> Result<DpsConfig, Box<dyn Error>> {
    let endpoint = env::var("DPS").unwrap_or_else(|_| GLOBAL_ENDPOINT.to_owned());
    let key = env::var("GROUP_KEY").map_err(|_| "GROUP_KEY is not set")?;
    let key = SymmetricKey::from_base64(&key)?;
    let authorities = match env::var_os("CA_FILE") {
        Some(path) => CertificateDer::pem_file_iter(path)?.collect::<Result<_, _>>()?,
        None => Vec::new(),
    };
    let routes = match env::var("CONNECT_TO") {
        Ok(to) => vec![Route {
            host: endpoint.clone(),
            port: None,
            to: to.parse()?,
        }],
        Err(_) => Vec::new(),
    };
    Ok(DpsConfig {
        endpoint: HostName::parse(&endpoint)?,
        id_scope: env::var("ID_SCOPE").map_err(|_| "ID_SCOPE is not set")?,
        connector: Connector::new(client_config(authorities)?, routes),
        credentials: Arc::new(Credentials::new(Keys::Group(KeyPair::single(key)))),
    })
}
