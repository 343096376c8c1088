//! The table of scenarios: which servers run, and which scripts are run against them, in order.

use std::time::Duration;

use super::commands_kill::CommandsKill;
use super::environment::MIRROR;
use super::fleet::Fleet;
use super::outage::Outage;
use super::scenario::Program::{self, Engine, Node, Python};
use super::scenario::Server::{Bridge, BridgeByDps, ByScripts, Emulator, Mirror};
use super::scenario::{Drive, Scenario};
use super::soak::Soak;
use crate::tools::{self, Tool};

/// Telemetry by the device SDK, which both readers then look for.
const TELEMETRY: Program = Node("telemetry.js", &[]);

/// All scenarios. Those that need the least come first.
pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "judges",
        about: "rhea and Proton, who judge the engine, hold each other to the peer protocol",
        servers: &[Mirror(Python("proton_mirror.py", &[MIRROR]))],
        drive: None,
        scripts: &[
            Node("rhea_driver.js", &[MIRROR]),
            Python("proton_driver.py", &[MIRROR]),
        ],
    },
    Scenario {
        name: "rhea-connects",
        about: "rhea as client of the engine",
        servers: &[Mirror(Engine(&["listen", MIRROR]))],
        drive: None,
        scripts: &[Node("rhea_driver.js", &[MIRROR])],
    },
    Scenario {
        name: "rhea-listens",
        about: "rhea as server of the engine",
        servers: &[Mirror(Node("rhea_mirror.js", &[MIRROR]))],
        drive: None,
        scripts: &[Engine(&["connect", MIRROR, "--distinct-names"])],
    },
    Scenario {
        name: "proton-connects",
        about: "Proton as client of the engine",
        servers: &[Mirror(Engine(&["listen", MIRROR]))],
        drive: None,
        scripts: &[Python("proton_driver.py", &[MIRROR])],
    },
    Scenario {
        name: "proton-listens",
        about: "Proton as server of the engine",
        servers: &[Mirror(Python("proton_mirror.py", &[MIRROR]))],
        drive: None,
        scripts: &[Engine(&["connect", MIRROR])],
    },
    Scenario {
        name: "node-telemetry",
        about: "azure-iot-device sends telemetry over AMQP; too large is MessageTooLargeError",
        servers: &[Emulator],
        drive: None,
        scripts: &[TELEMETRY],
    },
    Scenario {
        name: "node-refusals",
        about: "azure-iot-device has its own class for each refusal over each transport: keys, devices, tokens, sizes, what it does not have",
        servers: &[Emulator],
        drive: None,
        scripts: &[Node("refusals.js", &[])],
    },
    Scenario {
        name: "limits",
        about: "azure-iot-device of Node and Python, and azure-iothub, meet rates and the daily quota over each transport: what waits is taken, what is refused has a class",
        servers: &[Emulator],
        drive: None,
        scripts: &[Node("limits.js", &[]), Python("limits.py", &[])],
    },
    Scenario {
        name: "node-renewals",
        about: "azure-iot-device renews its tokens over each transport; messages, methods and telemetry go on",
        servers: &[Emulator],
        drive: None,
        scripts: &[Node("renewals.js", &[])],
    },
    Scenario {
        name: "node-lifetimes",
        about: "azure-iot-device that renews stays connected over each transport, and with a token that ends is cut in the documented order, at scale 1 and when the clock is advanced",
        servers: &[ByScripts],
        drive: None,
        scripts: &[Node("lifetimes.js", &[])],
    },
    Scenario {
        name: "python-lifetimes",
        about: "azure-iot-device of Python that renews stays connected over MQTT, in WebSockets as well, and with a token that ends is cut in the documented order, at scale 1 and when the clock is advanced",
        servers: &[ByScripts],
        drive: None,
        scripts: &[Python("lifetimes.py", &[])],
    },
    Scenario {
        name: "node-registry",
        about: "azure-iothub creates, changes, lists and deletes devices, and their twins; stale ETags are refused",
        servers: &[Emulator],
        drive: None,
        scripts: &[Node("registry.js", &[])],
    },
    Scenario {
        name: "node-twin",
        about: "azure-iot-device reads, reports and hears of its twin, which azure-iothub changes",
        servers: &[Emulator],
        drive: None,
        scripts: &[Node("twin.js", &[])],
    },
    Scenario {
        name: "node-methods",
        about: "azure-iothub calls methods of azure-iot-device, which answers, is silent, or is not there",
        servers: &[Emulator],
        drive: None,
        scripts: &[Node("methods.js", &[])],
    },
    Scenario {
        name: "node-c2d",
        about: "azure-iothub sends to azure-iot-device, which completes, abandons and rejects; each end is told",
        servers: &[Emulator],
        drive: None,
        scripts: &[Node("c2d.js", &[])],
    },
    Scenario {
        name: "python-read",
        about: "azure-eventhub reads what azure-iot-device sent, exactly, from every position",
        servers: &[Emulator],
        drive: None,
        scripts: &[TELEMETRY, Python("read.py", &[])],
    },
    Scenario {
        name: "node-read",
        about: "@azure/event-hubs reads what azure-iot-device sent, exactly, from every position",
        servers: &[Emulator],
        drive: None,
        scripts: &[TELEMETRY, Node("read.js", &[])],
    },
    Scenario {
        name: "node-provisioning",
        about: "azure-iot-provisioning-device registers over HTTPS by group keys; azure-iot-device connects with what comes of it",
        servers: &[Emulator],
        drive: None,
        scripts: &[Node("provisioning.js", &[])],
    },
    Scenario {
        name: "node-provisioning-amqp",
        about: "azure-iot-provisioning-device registers over AMQP (in WebSockets: node-ws) by group keys",
        servers: &[Emulator],
        drive: None,
        scripts: &[Node("provisioning.js", &["amqp"])],
    },
    Scenario {
        name: "node-ws",
        about: "azure-iot-device and azure-iot-provisioning-device speak both ways over AMQP in WebSockets, @azure/event-hubs reads over them, exactly",
        servers: &[Emulator],
        drive: None,
        scripts: &[
            Node("telemetry.js", &["ws"]),
            Node("read.js", &["ws"]),
            Node("provisioning.js", &["ws"]),
            Node("twin.js", &["ws"]),
            Node("methods.js", &["ws"]),
            Node("c2d.js", &["ws"]),
        ],
    },
    Scenario {
        name: "node-mqtt",
        about: "azure-iot-device and azure-iot-provisioning-device do over MQTT what they do over AMQP, telemetry read back exactly",
        servers: &[Emulator],
        drive: None,
        scripts: &[
            Node("telemetry.js", &["mqtt"]),
            Node("read.js", &[]),
            Node("provisioning.js", &["mqtt"]),
            Node("twin.js", &["mqtt"]),
            Node("methods.js", &["mqtt"]),
            Node("c2d_mqtt.js", &["mqtt"]),
        ],
    },
    Scenario {
        name: "node-mqtt-ws",
        about: "the same over MQTT in WebSockets",
        servers: &[Emulator],
        drive: None,
        scripts: &[
            Node("telemetry.js", &["mqtt-ws"]),
            Node("read.js", &[]),
            Node("provisioning.js", &["mqtt-ws"]),
            Node("twin.js", &["mqtt-ws"]),
            Node("methods.js", &["mqtt-ws"]),
            Node("c2d_mqtt.js", &["mqtt-ws"]),
        ],
    },
    Scenario {
        name: "python-mqtt",
        about: "Python's azure-iot-device registers, sends, receives, answers and keeps a twin over MQTT, and in WebSockets",
        servers: &[Emulator],
        drive: None,
        scripts: &[Python("device_mqtt.py", &[]), Node("read.js", &[])],
    },
    Scenario {
        name: "x509",
        about: "azure-iot-device of Node and Python connects and registers by certificates over each of its transports",
        servers: &[Emulator],
        drive: None,
        scripts: &[Node("x509.js", &[]), Python("x509.py", &[])],
    },
    Scenario {
        name: "node-http",
        about: "azure-iot-device sends over HTTPS, singly and in batches, and takes, gives back and rejects messages",
        servers: &[Emulator],
        drive: None,
        scripts: &[Node("http_device.js", &[]), Node("read.js", &[])],
    },
    Scenario {
        name: "uploads",
        about: "azure-iot-device uploads files by every transport, @azure/storage-blob puts and reads them, azure-iothub hears of them",
        servers: &[Emulator],
        drive: None,
        scripts: &[
            Node("uploads.js", &[]),
            Node("uploads.js", &["ws"]),
            Node("uploads.js", &["mqtt"]),
            Node("uploads.js", &["mqtt-ws"]),
            Node("uploads.js", &["http"]),
            Python("uploads.py", &[]),
        ],
    },
    Scenario {
        name: "mqtt-rules",
        about: "MQTT.js sees who may connect, which topics there are, sessions that go on, wills, and connections taken over",
        servers: &[Emulator],
        drive: None,
        scripts: &[Node("mqtt_rules.js", &[]), Node("read.js", &[])],
    },
    Scenario {
        name: "modules",
        about: "ModuleClient of azure-iot-device (Node over four transports, Python over two) and azure-iothub do with modules what they do with devices",
        servers: &[Emulator],
        drive: None,
        scripts: &[
            Node("modules.js", &[]),
            Node("read.js", &[]),
            Python("modules.py", &[]),
        ],
    },
    Scenario {
        name: "pooled",
        about: "rhea pools 100 devices as .NET does: one connection, one session for CBS and one for each device, links of the same names",
        servers: &[Emulator],
        drive: None,
        scripts: &[Node("pooled.js", &[]), Node("read.js", &[])],
    },
    Scenario {
        name: "node-old",
        about: "azure-iot-device 1.3.2 of 2018 does over each of its transports what today's does",
        servers: &[Emulator],
        drive: None,
        scripts: &[Node("old_device.js", &[]), Node("read.js", &[])],
    },
    Scenario {
        name: "paho",
        about: "Eclipse paho, which knows no hub, registers, connects, sends, receives, answers and keeps a twin by the hub's topics",
        servers: &[Emulator],
        drive: None,
        scripts: &[Python("paho_device.py", &[]), Node("read.js", &[])],
    },
    Scenario {
        name: "mosquitto",
        about: "mosquitto's own programs connect, send, receive and keep a twin; where they are installed, or when it is named",
        servers: &[Emulator],
        drive: None,
        scripts: &[Python("mosquitto_clients.py", &[]), Node("read.js", &[])],
    },
    Scenario {
        name: "uamqp",
        about: "uAMQP, the AMQP of C clients, sends and receives as a device; azure-iot-hub of Python, which has it inside, is the service",
        servers: &[Emulator],
        drive: None,
        scripts: &[Python("uamqp_device.py", &[]), Node("read.js", &[])],
    },
    Scenario {
        name: "python-service",
        about: "Python's azure-iot-hub keeps devices and twins, asks queries, calls methods and sends messages",
        servers: &[Emulator],
        drive: None,
        scripts: &[Python("service.py", &[])],
    },
    Scenario {
        name: "redirect",
        about: "the hub says where its Event Hubs-compatible endpoint is (amqp:link:redirect)",
        servers: &[Emulator],
        drive: None,
        scripts: &[Node("redirect.js", &[])],
    },
    Scenario {
        name: "bridge",
        about: "telemetry over HTTP is read exactly by both Event Hubs clients; bad requests are refused by name",
        servers: &[Emulator, Bridge],
        drive: None,
        scripts: &[
            Node("bridge.js", &[]),
            Python("read.py", &[]),
            Node("read.js", &[]),
        ],
    },
    Scenario {
        name: "bridge-twin",
        about: "a device never seen registers, reports and is forgotten over HTTP; azure-iothub sees the same twin",
        servers: &[Emulator, BridgeByDps],
        drive: None,
        scripts: &[Node("bridge_twin.js", &[])],
    },
    Scenario {
        name: "contract",
        about: "each row of CONTRACT.md over HTTP with real receivers of events; azure-iothub is the cloud's side",
        servers: &[ByScripts],
        drive: None,
        scripts: &[Node("contract.js", &[])],
    },
    Scenario {
        name: "contract-kill",
        about: "the bridge is killed at random moments under traffic: nothing is completed that was not taken, no subscription is lost",
        servers: &[ByScripts],
        drive: None,
        scripts: &[Node("contract.js", &["kill"])],
    },
    Scenario {
        name: "causes",
        about: "nine causes of a device that comes and goes are made on purpose, one by the official device SDK: diagnostics, the stream and drawspan watch name each",
        servers: &[ByScripts],
        drive: None,
        scripts: &[Node("causes.js", &[])],
    },
    Scenario {
        name: "contract-slow",
        about: "rows of CONTRACT.md that take minutes; only when it is named",
        servers: &[ByScripts],
        drive: None,
        scripts: &[Node("contract.js", &["slow"])],
    },
    Scenario {
        name: "generated-client",
        about: "a client that AutoRest makes from /swagger/v1/swagger.json runs all operations of the original",
        servers: &[Emulator, BridgeByDps],
        drive: None,
        scripts: &[Python("generated_client.py", &[])],
    },
    Scenario {
        name: "schemathesis",
        about: "schemathesis over /openapi.json finds no 500, nothing that is not described, and no wrong request taken",
        servers: &[Emulator, Bridge],
        drive: None,
        scripts: &[Python("fuzz_api.py", &[])],
    },
    Scenario {
        name: "schemathesis-long",
        about: "the same for up to an hour; only when it is named",
        servers: &[Emulator, Bridge],
        drive: None,
        scripts: &[Python("fuzz_api.py", &["long"])],
    },
    Scenario {
        name: "docs-page",
        about: "/docs in Chromium: nothing from elsewhere, requests are sent, the key is forgotten; needs chromium, so only when it is named",
        servers: &[Emulator, Bridge],
        drive: None,
        scripts: &[Node("docs_page.js", &[])],
    },
    Scenario {
        name: "dev",
        about: "the lines that `drawspan dev` prints do what they say, pasted as they stand",
        servers: &[],
        drive: None,
        scripts: &[Python("dev_lines.py", &[])],
    },
    Scenario {
        name: "docs-lines",
        about: "the lines of docs/emulator.md for a Node device, a Python device and a service, pasted as they stand",
        servers: &[],
        drive: None,
        scripts: &[Python("docs_lines.py", &[])],
    },
    Scenario {
        name: "outage",
        about: "the emulator is killed under load and started again: every request is answered, nothing accepted is lost",
        servers: &[Emulator, Bridge],
        drive: Some(Drive::Outage(Outage {
            devices: 1_000,
            connections: 64,
            rate: 2_000,
            load_s: 12,
            after: Duration::from_secs(4),
            lasts: Duration::from_secs(2),
            floor_s: 10,
        })),
        scripts: &[Python("read_ids.py", &[])],
    },
    Scenario {
        name: "commands-kill",
        about: "the bridge is killed again and again under messages and methods: nothing is lost, what comes again has the same id",
        servers: &[Emulator, BridgeByDps],
        drive: Some(Drive::CommandsKill(CommandsKill {
            devices: 100,
            rate: 300,
            failing_percent: 5,
            lives: &[
                Duration::from_millis(3_137),
                Duration::from_millis(1_571),
                Duration::from_millis(2_713),
                Duration::from_millis(977),
                Duration::from_millis(4_219),
            ],
        })),
        scripts: &[],
    },
    Scenario {
        name: "fleet",
        about: "devices never seen register through the bridge; its restart and the emulator's end under load ask DPS nothing",
        servers: &[Emulator, BridgeByDps],
        drive: Some(Drive::Fleet(Fleet { devices: 2_000 })),
        scripts: &[Python("read_ids.py", &[])],
    },
    Scenario {
        name: "fleet-50000",
        about: "the same with 50,000 devices; only when it is named",
        servers: &[Emulator, BridgeByDps],
        drive: Some(Drive::Fleet(Fleet { devices: 50_000 })),
        scripts: &[Python("read_ids.py", &[])],
    },
    Scenario {
        name: "many",
        about: "200 devices over MQTT and 200 over AMQP at two hubs that are killed under their traffic: nothing acknowledged is lost, sessions go on",
        servers: &[ByScripts],
        drive: None,
        scripts: &[Node("many.js", &["200"])],
    },
    Scenario {
        name: "many-10000",
        about: "the same with 10,000 of each, and what each takes in memory; only when it is named",
        servers: &[ByScripts],
        drive: None,
        scripts: &[Node("many.js", &["10000"])],
    },
    Scenario {
        name: "soak",
        about: "two minutes of everything at once: bad devices, a hanging receiver, a stalled session, failing renewals, restarts of the hub, churn",
        servers: &[Emulator],
        drive: Some(Drive::Soak(Soak::SHORT)),
        scripts: &[],
    },
    Scenario {
        name: "soak-hour",
        about: "the same for an hour (or SOAK_MINUTES=4 to 720), with latency and memory judged; only when it is named",
        servers: &[Emulator],
        drive: Some(Drive::Soak(Soak::HOUR)),
        scripts: &[],
    },
];

/// Scenarios that need programs which not every machine has. Without them they run only when they are named, and fail.
pub(crate) const IF_INSTALLED: &[(&str, &[Tool])] = &[
    ("mosquitto", tools::MOSQUITTO),
    ("uamqp", tools::UAMQP),
    ("python-service", tools::UAMQP),
];

/// Scenarios that are too long to be run unless they are named.
pub(crate) const ON_REQUEST: &[&str] = &[
    "fleet-50000",
    "schemathesis-long",
    "docs-page",
    "contract-slow",
    "many-10000",
    "soak-hour",
];

#[cfg(test)]
mod tests;
