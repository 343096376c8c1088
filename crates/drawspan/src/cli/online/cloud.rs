//! The checks that DPS and hubs are reachable and accept this configuration.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use drawspan_client::dps::{Assigned, DpsClient, DpsConfig};
use drawspan_client::{Credentials, probe};
use drawspan_hub::{CertifiedDevice, DeviceId, Failure, FailureKind, HostName, WhichKey};
use drawspan_net::{ClientIdentity, Connector};
use drawspan_settings::limits::TOKEN_LIFE_S;
use drawspan_settings::{Config, Profile};
use tokio::time::Instant;

use super::{Line, Seen, in_time};
use crate::limits::{ONLINE_HUBS, ONLINE_REGISTRATION_S};

/// An id for the look-up if no device is named; it is not registered.
const NOBODY: &str = "drawspan-check";

const WRONG_POLICY: &str = "Check hub_connection_string: host, policy name and key as the portal shows them (shared access policies).";

/// The inputs of the checks.
struct Look<'a> {
    config: &'a Config,
    connector: &'a Connector,
    credentials: Arc<Credentials>,
}

pub(super) async fn look(
    config: &Config,
    connector: &Connector,
    device: Option<&DeviceId>,
) -> Vec<Line> {
    let look = Look {
        config,
        connector,
        credentials: Arc::new(Credentials::new(config.profile.keys())),
    };
    match &config.profile {
        Profile::Dps {
            endpoint, id_scope, ..
        } => look.dps(endpoint, id_scope, device).await,
        Profile::Hub { host, policy, .. } => {
            let which = match look.policy(host).await {
                Ok(which) => which,
                Err(failure) => return vec![hub(Err(failure), String::new(), WRONG_POLICY)],
            };
            let taken =
                format!("{host} takes the key of policy {policy}, which may connect devices");
            let connects = look.connects(host, which).await.map(|()| which);
            let refused = format!(
                "{host} takes the key of policy {policy}, which lacks the right DeviceConnect: name one that has it (`device` and `iothubowner` do)."
            );
            vec![hub(connects, taken, &refused)]
        }
        Profile::Devices(devices) => {
            // One device for each hub: the first by its id, so that every check asks the same.
            let mut hubs: BTreeMap<&str, (&HostName, &DeviceId)> = BTreeMap::new();
            for (id, listed) in devices {
                let found = hubs.entry(listed.hub.as_str());
                let kept = found.or_insert((&listed.hub, id));
                if id.as_str() < kept.1.as_str() {
                    *kept = (&listed.hub, id);
                }
            }
            let mut lines = Vec::new();
            for (host, id) in hubs.into_values().take(ONLINE_HUBS) {
                let refused =
                    "Check its line in devices_file: the key as the hub shows it for the device.";
                let taken = format!("{host} takes the key of {id}");
                lines.push(hub(look.device(host, id, id).await, taken, refused));
            }
            lines
        }
        Profile::Certificates(devices) => {
            let mut hubs: BTreeMap<&str, (&DeviceId, &CertifiedDevice)> = BTreeMap::new();
            for (id, listed) in devices {
                let kept = hubs.entry(listed.hub.as_str()).or_insert((id, listed));
                if id.as_str() < kept.0.as_str() {
                    *kept = (id, listed);
                }
            }
            let mut lines = Vec::new();
            for (id, listed) in hubs.into_values().take(ONLINE_HUBS) {
                let host = &listed.hub;
                // Attaching a link would end a connection that the device has elsewhere.
                let reached = format!(
                    "{host} is reached with the certificate of {id}; whether it takes it shows when the device connects"
                );
                let refused = "Check the device's line in devices_file: its hub, and a certificate that the hub knows.";
                lines.push(hub(look.reaches(listed).await, reached, refused));
            }
            lines
        }
    }
}

impl Look<'_> {
    async fn dps(
        &self,
        endpoint: &HostName,
        id_scope: &str,
        device: Option<&DeviceId>,
    ) -> Vec<Line> {
        let client = DpsClient::new(DpsConfig {
            endpoint: endpoint.clone(),
            id_scope: id_scope.to_owned(),
            connector: self.connector.clone(),
            credentials: Arc::clone(&self.credentials),
        });
        let Ok(nobody) = DeviceId::parse(NOBODY) else {
            return Vec::new();
        };
        let asked = device.unwrap_or(&nobody);
        let known = self
            .either_key(|which| in_time(endpoint.as_str(), client.look_up(asked, which)))
            .await;
        let (known, which) = match known {
            Ok(found) => found,
            Err(failure) => return vec![dps(Err(failure)), hub_skipped("DPS comes first")],
        };
        let note = match which {
            WhichKey::Primary => "",
            WhichKey::Secondary => ", the second one; the first is refused",
        };
        let taken = format!("{endpoint} takes id scope {id_scope} and group key{note}");
        let assigned = match (known, device) {
            (Some(assigned), _) => assigned,
            (None, None) => {
                let why = "a device's hub is known once it has registered: --device ID registers one, and looks at its hub";
                return vec![dps(Ok(taken)), hub_skipped(why)];
            }
            (None, Some(device)) => match register(&client, device, which).await {
                Ok(assigned) => assigned,
                Err(failure) => return vec![dps(Err(failure)), hub_skipped("DPS comes first")],
            },
        };
        let Assigned { hub: host, device } = assigned;
        let connected = self.device(&host, &device, asked).await;
        let text = format!("{host} takes the key of {device}");
        let refused = "The hub has another key for the device than the enrollment group gives it: delete the device at the hub, so that it registers anew.";
        vec![dps(Ok(taken)), hub(connected, text, refused)]
    }

    async fn policy(&self, host: &HostName) -> Result<WhichKey, Failure> {
        let token = |which| self.credentials.policy_token(host, which, expiry());
        self.put(host, token).await
    }

    /// Whether the policy may connect devices, by the link of a device that does not exist.
    async fn connects(&self, host: &HostName, which: WhichKey) -> Result<(), Failure> {
        let stranger = stranger()?;
        let token = self.credentials.policy_token(host, which, expiry());
        let token = token.ok_or_else(no_key)?;
        let transport = self.config.transport;
        let attached = probe::attach_stranger(host, self.connector, transport, token, &stranger);
        in_time(host.as_str(), attached).await
    }

    /// Shakes hands with a hub by a device's certificate.
    async fn reaches(&self, listed: &CertifiedDevice) -> Result<WhichKey, Failure> {
        let certificate = &listed.certificate;
        let identity = ClientIdentity::from_pem(&certificate.chain, certificate.key());
        let identity = identity
            .map_err(|error| Failure::local(FailureKind::Unauthorized, &error.to_string()))?;
        let connector = self.connector.with_identity(&identity);
        let host = listed.hub.as_str();
        let reached = async {
            let connected = connector.connect_to(host, self.config.transport).await;
            let reached = connected.map(|_| WhichKey::Primary);
            reached.map_err(|error| Failure::local(FailureKind::HubUnreachable, &error.to_string()))
        };
        in_time(host, reached).await
    }

    async fn device(
        &self,
        host: &HostName,
        device: &DeviceId,
        registration: &DeviceId,
    ) -> Result<WhichKey, Failure> {
        let credentials = &self.credentials;
        let token = |which| credentials.device_token(host, device, registration, which, expiry());
        self.put(host, token).await
    }

    async fn put(
        &self,
        host: &HostName,
        token: impl Fn(WhichKey) -> Option<String>,
    ) -> Result<WhichKey, Failure> {
        let put = |which| {
            let token = token(which).ok_or_else(no_key);
            let (connector, transport) = (self.connector, self.config.transport);
            in_time(host.as_str(), async move {
                probe::put_token(host, connector, transport, token?).await
            })
        };
        self.either_key(put).await.map(|((), which)| which)
    }

    /// Tries the second key where the first is refused, as the bridge does.
    async fn either_key<T, F>(
        &self,
        attempt: impl Fn(WhichKey) -> F,
    ) -> Result<(T, WhichKey), Failure>
    where
        F: Future<Output = Result<T, Failure>>,
    {
        match attempt(WhichKey::Primary).await {
            Err(failure)
                if failure.kind == FailureKind::Unauthorized
                    && self.credentials.has_secondary() =>
            {
                match attempt(WhichKey::Secondary).await {
                    Ok(done) => Ok((done, WhichKey::Secondary)),
                    Err(_) => Err(failure),
                }
            }
            other => other.map(|done| (done, WhichKey::Primary)),
        }
    }
}

/// An id that no device has, since it is drawn at random.
fn stranger() -> Result<DeviceId, Failure> {
    let failed = |text: &str| Failure::local(FailureKind::Unknown, text);
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|_| failed("the system gives no random numbers"))?;
    let id = format!("{NOBODY}-{:032x}", u128::from_be_bytes(bytes));
    DeviceId::parse(&id).map_err(|error| failed(&error.to_string()))
}

fn no_key() -> Failure {
    Failure::local(FailureKind::Unauthorized, "there is no key to sign with")
}

async fn register(
    client: &DpsClient,
    device: &DeviceId,
    which: WhichKey,
) -> Result<Assigned, Failure> {
    let deadline = Instant::now() + Duration::from_secs(ONLINE_REGISTRATION_S);
    client.register(device, which, None, deadline).await
}

fn dps(seen: Result<String, Failure>) -> Line {
    let seen = match seen {
        Ok(text) => Seen::Ok(text),
        Err(failure) => {
            let refused = match failure.kind {
                FailureKind::NotFound => {
                    "Check id_scope: the DPS instance's overview in the portal shows it, like 0ne00A1B2C3."
                }
                _ => {
                    "Check group_key: the primary or secondary key of an enrollment group (symmetric key) of this id scope; and the clock, above."
                }
            };
            Seen::of_failure(&failure, refused)
        }
    };
    Line { what: "DPS", seen }
}

fn hub(seen: Result<WhichKey, Failure>, taken: String, refused: &str) -> Line {
    let seen = match seen {
        Ok(WhichKey::Primary) => Seen::Ok(taken),
        Ok(WhichKey::Secondary) => {
            Seen::Ok(format!("{taken}, the second one; the first is refused"))
        }
        Err(failure) => Seen::of_failure(&failure, refused),
    };
    Line { what: "hub", seen }
}

fn hub_skipped(why: &str) -> Line {
    Line {
        what: "hub",
        seen: Seen::Skipped(why.to_owned()),
    }
}

fn expiry() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |now| now.as_secs()) + u64::from(TOKEN_LIFE_S)
}
