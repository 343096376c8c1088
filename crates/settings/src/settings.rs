//! The table of settings, from which flags, variables, keys of the file, their help and the reference are generated.

/// Prefix of all environment variables.
pub(super) const VARIABLE_PREFIX: &str = "DRAWSPAN_";

/// A setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Setting {
    /// The address to listen on.
    Listen,
    /// Keys of callers.
    ApiKey,
    /// State directory.
    State,
    /// Keys that protect what is stored.
    Keyring,
    /// Certificate of the listener.
    TlsCert,
    /// Key of that certificate.
    TlsKey,
    /// Directory of the original bridge's secrets.
    SecretsDir,
    /// How long a request may take.
    RequestTimeout,
    /// Connections of one caller.
    ConnectionsPerAddress,
    /// DPS instance.
    IdScope,
    /// Enrollment group, first key.
    GroupKey,
    /// Enrollment group, second key.
    GroupKeySecondary,
    /// Enrollment group, certificate of its authority.
    GroupCertificate,
    /// Key of that certificate.
    GroupCertificateKey,
    /// DPS host.
    DpsEndpoint,
    /// Hub policy, first key.
    HubConnectionString,
    /// Hub policy, second key.
    HubConnectionStringSecondary,
    /// List of devices with individual keys.
    DevicesFile,
    /// Edition and units.
    HubSize,
    /// Pace of connecting.
    ConnectRate,
    /// Upper bound of the pace of connecting.
    MaxConnectRate,
    /// Maximum number of connections to a hub.
    MaxConnections,
    /// Pace of registering.
    DpsRate,
    /// Messages of one device.
    DeviceRate,
    /// Daily blocks of one device.
    DeviceDailyBlocks,
    /// How long a hub may be away before DPS is asked.
    HubGoneAfter,
    /// AMQP over TLS or over WebSocket.
    Transport,
    /// HTTP proxy.
    Proxy,
    /// Authorities to trust.
    Ca,
    /// Addresses to connect to instead of looking up names.
    Connect,
    /// Life of tokens.
    TokenLife,
    /// Private addresses to which events may go.
    AllowCallbacks,
    /// Further attempts to deliver an event.
    HttpRetryLimit,
    /// How long the receiver of a method may take.
    MethodAnswerTimeout,
    /// Keys that sign events.
    WebhookSecret,
    /// Authorities to trust at receivers of events.
    CallbackCa,
}

/// How a setting is given and shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// One value, shown.
    Plain,
    /// One value, not shown; it may also be read from a file (`*_file`).
    Secret,
    /// Several values, shown; in a variable with commas between them.
    List,
    /// Several values, not shown; in a file one per line.
    SecretList,
}

/// A group of settings: a section of the reference and of the help.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    /// The server.
    Server,
    /// Profile: devices find their hub by DPS.
    Dps,
    /// Profile: a hub and its policy.
    Hub,
    /// Profile: listed devices.
    Devices,
    /// How fast.
    Pace,
    /// How the hub is reached.
    Network,
    /// Events on their way to callers.
    Webhooks,
}

/// The specification of a setting: everything except its value.
#[derive(Debug)]
pub struct Spec {
    /// The setting.
    pub setting: Setting,
    /// Its key in the file; the variable is the same in upper case after `DRAWSPAN_`.
    pub key: &'static str,
    /// The flag, without dashes.
    pub flag: &'static str,
    /// The flag of the file that holds it, for secrets.
    pub file_flag: &'static str,
    /// Placeholder for the value.
    pub value: &'static str,
    /// Default value; empty if there is no default.
    pub default: &'static str,
    /// Description in one sentence.
    pub help: &'static str,
    /// How its value is given and shown.
    pub kind: Kind,
    /// The group it belongs to.
    pub group: Group,
    /// Whether SIGHUP applies a changed value.
    pub reload: bool,
}

macro_rules! settings {
    ($($group:ident { $($setting:ident $key:literal $flag:literal $kind:ident $value:literal $default:literal $reload:literal $help:literal)+ })+) => {
        &[$($(Spec {
            setting: Setting::$setting,
            key: $key,
            flag: $flag,
            file_flag: concat!($flag, "-file"),
            value: $value,
            default: $default,
            help: $help,
            kind: Kind::$kind,
            group: Group::$group,
            reload: $reload,
        },)+)+]
    };
}

/// All settings, in the order of the reference. Setting · key · flag · kind · value · default · by SIGHUP · help.
#[rustfmt::skip] // one setting per line, and its help
pub static SETTINGS: &[Spec] = settings! {
    Server {
        Listen "listen" "listen" Plain "ADDR:PORT" "0.0.0.0:5001" false
            "Where to listen for HTTP"
        ApiKey "api_key" "api-key" SecretList "KEY" "" true
            "Key that callers send in the header x-api-key, or its entry from `drawspan api-key new`; several may be given"
        State "state" "state" Plain "DIR" "" false
            "Directory for data that survives a restart: subscriptions, dead letters, the hub of each device; without it, they are lost"
        Keyring "keyring" "keyring" Plain "FILE" "" false
            "File of the keys that encrypt callback URLs in the state directory; created if missing [default: keyring in the state directory]"
        TlsCert "tls_cert" "tls-cert" Plain "FILE" "" false
            "PEM file of the listener's certificate chain; enables HTTPS instead of HTTP; read again when it changes"
        TlsKey "tls_key" "tls-key" Plain "FILE" "" false
            "PEM file of that certificate's private key"
        SecretsDir "secrets_dir" "secrets-dir" Plain "DIR" "" false
            "Directory of the secrets of the bridge that Drawspan replaces, in files named iotc-id-scope, iotc-sas-key and apiKey"
        RequestTimeout "request_timeout" "request-timeout" Plain "SECONDS" "30" false
            "How long a request may take, connecting included; 1 to 300"
        ConnectionsPerAddress "connections_per_address" "connections-per-address" Plain "N" "" false
            "HTTP connections allowed per address; a reverse proxy in front is one address [default: half of all connections]"
    }
    Dps {
        IdScope "id_scope" "id-scope" Plain "SCOPE" "" false
            "Id scope of the DPS instance"
        GroupKey "group_key" "group-key" Secret "BASE64" "" true
            "Key of the DPS enrollment group, from which device keys are derived"
        GroupKeySecondary "group_key_secondary" "group-key-secondary" Secret "BASE64" "" true
            "Second key of the enrollment group, used when the first is refused"
        GroupCertificate "group_certificate" "group-certificate" Plain "FILE" "" true
            "PEM file of the authority's certificate of an enrollment group with X.509, followed by those above it, instead of group_key: each device gets a certificate, and a connection of its own"
        GroupCertificateKey "group_certificate_key" "group-certificate-key" Plain "FILE" "" true
            "PEM file of that certificate's private key, RSA or ECDSA on P-256, with which devices' certificates are made"
        DpsEndpoint "dps_endpoint" "dps-endpoint" Plain "HOST" "global.azure-devices-provisioning.net" false
            "Host of DPS; sovereign clouds have different ones"
    }
    Hub {
        HubConnectionString "hub_connection_string" "hub-connection-string" Secret "CS" "" true
            "Connection string of a hub policy with DeviceConnect, for all devices of this hub"
        HubConnectionStringSecondary "hub_connection_string_secondary" "hub-connection-string-secondary" Secret "CS" "" true
            "The same with the policy's second key, used when the first is refused"
    }
    Devices {
        DevicesFile "devices_file" "devices-file" Plain "FILE" "" true
            "File of device connection strings, one per line; a second line of a device is its second key. Or of devices with certificates: HostName=…;DeviceId=…;x509=true;CertificateFile=…;KeyFile=…"
    }
    Pace {
        HubSize "hub_size" "hub-size" Plain "SKU[xUNITS]" "" false
            "SKU and units of each hub, like S1x2; sets the rate limits. Learned if unset"
        ConnectRate "connect_rate" "connect-rate" Plain "N" "" false
            "Maximum number of devices connected to a hub per second, regardless of its size; 0 means no limit"
        MaxConnectRate "max_connect_rate" "max-connect-rate" Plain "N" "" false
            "Upper bound on devices connected to a hub per second, if hub_size or the learned rate allows more"
        MaxConnections "max_connections" "max-connections" Plain "N" "" false
            "Maximum number of AMQP connections to a hub; each holds 995 devices, 495 over WebSocket, and further devices are not connected"
        DpsRate "dps_rate" "dps-rate" Plain "N" "1000" false
            "Maximum number of registrations at DPS per minute; 0 means no limit"
        DeviceRate "device_rate" "device-rate" Plain "N/s" "" false
            "Messages that each device may send, like 5/s or 30/min; what is above is refused at once with 429 and costs other devices nothing"
        DeviceDailyBlocks "device_daily_blocks" "device-daily-blocks" Plain "N" "" false
            "Blocks of 4 KB of its hub's daily quota that each device may use per UTC day; counted anew after a restart"
        HubGoneAfter "hub_gone_after" "hub-gone-after" Plain "SECONDS" "900" false
            "How long a hub may be unreachable before DPS is asked for one of its devices, and, if that device has moved, for all of them; 60 to 86400"
    }
    Network {
        Transport "transport" "transport" Plain "amqps|websocket" "amqps" false
            "AMQP over TLS (port 5671), or over WebSocket (port 443; half as many devices per connection)"
        Proxy "proxy" "proxy" Plain "URL" "" false
            "HTTP proxy for connections to hubs and DPS, http://[USER:PASSWORD@]HOST:PORT; HTTPS_PROXY if unset; `none` disables it"
        Ca "ca" "ca" Plain "FILE" "" false
            "PEM file of the authorities to trust instead of the system's"
        Connect "connect" "connect" List "NAME[:PORT]=ADDR:PORT" "" false
            "Address to connect to for a hub or DPS name; TLS still checks the name"
        TokenLife "token_life" "token-life" Plain "SECONDS" "3600" false
            "Lifetime of the tokens that are signed for the hub; 60 to 86400"
    }
    Webhooks {
        AllowCallbacks "allow_callbacks" "allow-callbacks" List "CIDR|HOST" "" false
            "Private addresses that callback URLs may point to, like 10.0.0.0/8 or adapter.local"
        HttpRetryLimit "http_retry_limit" "http-retry-limit" Plain "N" "5" false
            "Number of further attempts to deliver an event after the first one fails; 0 to 20"
        MethodAnswerTimeout "method_answer_timeout" "method-answer-timeout" Plain "SECONDS" "30" false
            "How long the receiver of a direct method may take to answer; 5 to 300"
        WebhookSecret "webhook_secret" "webhook-secret" SecretList "whsec_BASE64" "" true
            "Key that signs events (Standard Webhooks); with several keys, an event has one signature per key"
        CallbackCa "callback_ca" "callback-ca" Plain "FILE" "" false
            "PEM file of the authorities to trust at receivers of events instead of the system's"
    }
};

impl Spec {
    /// The spec of a setting.
    pub(super) fn of(setting: Setting) -> Option<&'static Self> {
        SETTINGS.iter().find(|spec| spec.setting == setting)
    }

    /// Its environment variable.
    #[must_use]
    pub fn variable(&self) -> String {
        format!("{VARIABLE_PREFIX}{}", self.key.to_ascii_uppercase())
    }

    /// The key that names the file of a secret.
    #[must_use]
    pub fn file_key(&self) -> String {
        format!("{}_file", self.key)
    }

    /// Whether its value is not to be shown.
    #[must_use]
    pub const fn is_secret(&self) -> bool {
        matches!(self.kind, Kind::Secret | Kind::SecretList)
    }

    /// Whether it accepts several values.
    #[must_use]
    pub const fn is_list(&self) -> bool {
        matches!(self.kind, Kind::List | Kind::SecretList)
    }
}

impl Group {
    /// Its heading.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Server => "Server",
            Self::Dps => "Profile: DPS enrollment group",
            Self::Hub => "Profile: one hub by its policy",
            Self::Devices => "Profile: listed devices",
            Self::Pace => "Pace",
            Self::Network => "Network",
            Self::Webhooks => "Webhooks",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_agree_and_are_unique() {
        for spec in SETTINGS {
            assert_eq!(spec.key.replace('_', "-"), spec.flag);
            assert_eq!(spec.file_flag, format!("{}-file", spec.flag));
            let same = SETTINGS.iter().filter(|other| other.key == spec.key);
            assert_eq!(same.count(), 1, "{}", spec.key);
            assert!(std::ptr::eq(Spec::of(spec.setting).unwrap(), spec));
        }
    }
}
