//! The columns: clients, each over the transports that it has, and the scripts that speak for them.

use crate::conformance::Program::{self, Node, Python};
use crate::conformance::SCENARIOS;

/// A client, which has a table of its own.
pub(crate) struct Client {
    /// Heading of its table.
    pub(crate) name: &'static str,
    /// Where its version is locked (from `conformance/`), and the words there that say it. No words, no version.
    pub(crate) locked: (&'static str, &'static str),
    /// What to know before one reads the table.
    pub(crate) about: &'static str,
    /// Its transports.
    pub(crate) columns: &'static [Column],
}

/// A client over one transport.
pub(crate) struct Column {
    /// What scripts call it.
    pub(crate) id: &'static str,
    /// Heading of the column.
    pub(crate) transport: &'static str,
    /// Programs of scenarios that report for it.
    pub(crate) programs: &'static [Program],
}

/// The refusals of all transports come from one script.
const REFUSALS: Program = Node("refusals.js", &[]);
/// So do rates and the quota.
const LIMITS: Program = Node("limits.js", &[]);
/// So do renewals of tokens.
const RENEWALS: Program = Node("renewals.js", &[]);
/// And what modules do.
const MODULES: Program = Node("modules.js", &[]);
/// And what devices with certificates do.
const X509: Program = Node("x509.js", &[]);
/// Everything of Python's clients comes from five.
const PYTHON: &[Program] = &[
    Python("device_mqtt.py", &[]),
    Python("limits.py", &[]),
    Python("modules.py", &[]),
    Python("uploads.py", &[]),
    Python("x509.py", &[]),
];
/// And of the old generation.
const OLD: &[Program] = &[Node("old_device.js", &[])];
/// And of paho.
const PAHO: &[Program] = &[Python("paho_device.py", &[])];

/// All clients that run, in the order of the page.
pub(crate) const CLIENTS: &[Client] = &[
    Client {
        name: "Node: azure-iot-device 1.18.4",
        locked: ("node/package.json", "\"azure-iot-device\": \"1.18.4\""),
        about: "With azure-iot-device-amqp 1.14.4, -mqtt 1.16.4, -http 1.14.4, and azure-iot-provisioning-device 1.9.1 for registrations.",
        columns: &[
            Column {
                id: "node-amqp",
                transport: "AMQP",
                programs: &[
                    Node("telemetry.js", &[]),
                    Node("c2d.js", &[]),
                    Node("methods.js", &[]),
                    Node("twin.js", &[]),
                    Node("provisioning.js", &["amqp"]),
                    Node("uploads.js", &[]),
                    REFUSALS,
                    RENEWALS,
                    LIMITS,
                    MODULES,
                    X509,
                ],
            },
            Column {
                id: "node-amqp-ws",
                transport: "AMQP in WebSockets",
                programs: &[
                    Node("telemetry.js", &["ws"]),
                    Node("c2d.js", &["ws"]),
                    Node("methods.js", &["ws"]),
                    Node("twin.js", &["ws"]),
                    Node("provisioning.js", &["ws"]),
                    Node("uploads.js", &["ws"]),
                    REFUSALS,
                    RENEWALS,
                    LIMITS,
                    MODULES,
                    X509,
                ],
            },
            Column {
                id: "node-mqtt",
                transport: "MQTT",
                programs: &[
                    Node("telemetry.js", &["mqtt"]),
                    Node("c2d_mqtt.js", &["mqtt"]),
                    Node("methods.js", &["mqtt"]),
                    Node("twin.js", &["mqtt"]),
                    Node("provisioning.js", &["mqtt"]),
                    Node("uploads.js", &["mqtt"]),
                    REFUSALS,
                    RENEWALS,
                    LIMITS,
                    MODULES,
                    X509,
                ],
            },
            Column {
                id: "node-mqtt-ws",
                transport: "MQTT in WebSockets",
                programs: &[
                    Node("telemetry.js", &["mqtt-ws"]),
                    Node("c2d_mqtt.js", &["mqtt-ws"]),
                    Node("methods.js", &["mqtt-ws"]),
                    Node("twin.js", &["mqtt-ws"]),
                    Node("provisioning.js", &["mqtt-ws"]),
                    Node("uploads.js", &["mqtt-ws"]),
                    REFUSALS,
                    RENEWALS,
                    LIMITS,
                    MODULES,
                    X509,
                ],
            },
            Column {
                id: "node-http",
                transport: "HTTPS",
                programs: &[
                    Node("http_device.js", &[]),
                    Node("provisioning.js", &[]),
                    Node("uploads.js", &["http"]),
                    REFUSALS,
                    LIMITS,
                    X509,
                ],
            },
        ],
    },
    Client {
        name: "Python: azure-iot-device 2.14.0",
        locked: ("python/requirements.txt", "azure-iot-device==2.14.0"),
        about: "The client that blocks, and the one of coroutines (`aio`). The SDK has MQTT only.",
        columns: &[
            Column {
                id: "python-mqtt",
                transport: "MQTT",
                programs: PYTHON,
            },
            Column {
                id: "python-mqtt-ws",
                transport: "MQTT in WebSockets",
                programs: PYTHON,
            },
            Column {
                id: "python-aio-mqtt",
                transport: "aio, MQTT",
                programs: PYTHON,
            },
            Column {
                id: "python-aio-mqtt-ws",
                transport: "aio, MQTT in WebSockets",
                programs: PYTHON,
            },
        ],
    },
    Client {
        name: "Node, early 2018: azure-iot-device 1.3.2",
        locked: ("node-old/package.json", "\"azure-iot-device\": \"1.3.2\""),
        about: "With the transports of that version. Its AMQP is another library (amqp10) than that of today's SDK.",
        columns: &[
            Column {
                id: "node-1.3-amqp",
                transport: "AMQP",
                programs: OLD,
            },
            Column {
                id: "node-1.3-amqp-ws",
                transport: "AMQP in WebSockets",
                programs: OLD,
            },
            Column {
                id: "node-1.3-mqtt",
                transport: "MQTT",
                programs: OLD,
            },
            Column {
                id: "node-1.3-mqtt-ws",
                transport: "MQTT in WebSockets",
                programs: OLD,
            },
            Column {
                id: "node-1.3-http",
                transport: "HTTPS",
                programs: OLD,
            },
        ],
    },
    Client {
        name: "Foreign clients",
        locked: ("", ""),
        about: "They know AMQP or MQTT and nothing of hubs; the scripts add what articles and SDKs say. *Pooled*: rhea 3.0.5 as .NET's SDK pools, 100 devices on one \
                connection, one session for CBS and one for each device, whose links have the same names. uAMQP 1.6.11: the AMQP library of the C SDKs, by its Python binding; its service is azure-iot-hub 2.7.0. paho-mqtt 1.6.1. mosquitto: the programs mosquitto_pub and \
                mosquitto_sub 2.0.11, which run only where they are installed, so that this column is from the last such run.",
        columns: &[
            Column {
                id: "rhea-pooled",
                transport: "rhea, AMQP, pooled",
                programs: &[Node("pooled.js", &[])],
            },
            Column {
                id: super::seen::UAMQP,
                transport: "uAMQP, AMQP",
                programs: &[Python("uamqp_device.py", &[])],
            },
            Column {
                id: "paho-mqtt",
                transport: "paho, MQTT",
                programs: PAHO,
            },
            Column {
                id: "paho-mqtt-ws",
                transport: "paho, MQTT in WebSockets",
                programs: PAHO,
            },
            Column {
                id: super::seen::MOSQUITTO,
                transport: "mosquitto, MQTT",
                programs: &[Python("mosquitto_clients.py", &[])],
            },
        ],
    },
];

/// Clients that do not run here: name, transports that they have, why not, and what is looked at instead.
pub(crate) const NOT_RUN: &[[&str; 4]] = &[
    [
        ".NET: Microsoft.Azure.Devices.Client",
        "AMQP, AMQP in WebSockets, MQTT, MQTT in WebSockets, HTTPS",
        "its packages come from NuGet, which conformance does not reach",
        "its pooling: the column *pooled* above; its frames and links, as its sources say: tests of the emulator",
    ],
    [
        "Java: iot-device-client",
        "AMQP, AMQP in WebSockets, MQTT, MQTT in WebSockets, HTTPS",
        "its packages come from Maven Central, which conformance does not reach",
        "nothing",
    ],
    [
        "C: azure-iot-sdk-c",
        "AMQP, AMQP in WebSockets, MQTT, MQTT in WebSockets, HTTPS",
        "no package registry that conformance reaches has it",
        "its AMQP library: the column *uAMQP* above; its frames, as its sources say: tests of the engine and of the emulator",
    ],
];

/// The column of an id.
pub(crate) fn column(id: &str) -> Option<&'static Column> {
    all().find(|column| column.id == id)
}

/// The scenarios that run a program which reports for the column of an id.
pub(crate) fn scenarios(id: &str) -> Vec<&'static str> {
    let programs = column(id).map_or(&[][..], |column| column.programs);
    let reports = |program: &Program| programs.contains(program);
    let runs = SCENARIOS.iter().filter(|it| it.scripts.iter().any(reports));
    runs.map(|scenario| scenario.name).collect()
}

/// All columns.
pub(crate) fn all() -> impl Iterator<Item = &'static Column> {
    CLIENTS.iter().flat_map(|client| client.columns)
}
