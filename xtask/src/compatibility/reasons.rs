//! Why a cell was not run. A cell that no script reports must have a reason here.

/// Rows, beginnings of columns' ids, and the reason. The first that fits counts.
const REASONS: &[(&[&str], &[&str], &str)] = &[
    (
        &[
            "telemetry above the rate",
            "telemetry beyond the quota",
            "a twin above the rate",
            "a twin beyond the quota",
            "a connection above the rate",
        ],
        &["node-1.3", "rhea", "uamqp", "paho", "mosquitto"],
        "not driven by this client",
    ),
    (
        &["a twin above the rate", "a twin beyond the quota"],
        &["node-http"],
        "over HTTPS the SDK has no twin",
    ),
    (
        &["a connection above the rate"],
        &["node-http"],
        "HTTPS has no connection that stands for a device",
    ),
    (
        &["a device with a certificate"],
        &["node-1.3"],
        "not driven by this version",
    ),
    (
        &["a device with a certificate"],
        &["rhea"],
        "a device with a certificate has a connection of its own, so that there is nothing to pool",
    ),
    (
        &["a device with a certificate"],
        &["uamqp", "paho", "mosquitto"],
        "not driven by this client",
    ),
    (
        &[
            "registration by an individual key",
            "registration by a certificate",
        ],
        &["node-1.3"],
        "the provisioning SDK came later than this version",
    ),
    (
        &[
            "registration by an individual key",
            "registration by a certificate",
        ],
        &["rhea"],
        "a registration has a connection of its own, so that there is nothing to pool",
    ),
    (
        &[
            "registration by an individual key",
            "registration by a certificate",
        ],
        &["uamqp", "paho", "mosquitto"],
        "not driven by this client",
    ),
    (
        &["a module"],
        &["node-http"],
        "a hub takes nothing of modules over HTTPS",
    ),
    (
        &["a module"],
        &["node-1.3"],
        "this version knows no modules",
    ),
    (
        &["a module"],
        &["rhea", "uamqp", "paho", "mosquitto"],
        "not driven by this client",
    ),
    (
        &["file upload"],
        &["node-1.3"],
        "not driven by this version",
    ),
    (
        &["file upload"],
        &["rhea", "uamqp", "paho", "mosquitto"],
        "it is requests over HTTPS, which this client does not make",
    ),
    (
        &[
            "registration by a group key",
            "a registration with a wrong key",
            "a registration at an unknown id scope",
        ],
        &["node-1.3"],
        "the provisioning SDK came later than this version",
    ),
    (
        &[
            "registration by a group key",
            "a registration with a wrong key",
            "a registration at an unknown id scope",
        ],
        &["rhea"],
        "a registration has a connection of its own, so that there is nothing to pool",
    ),
    (
        &["a registration at an unknown id scope"],
        &["paho"],
        "at CONNECT it is the same as a wrong key",
    ),
    (
        &[
            "methods",
            "twin",
            "reported properties",
            "desired properties",
            "a second connection takes over",
            "a twin property with a dot in its name",
            "registration by a group key",
            "a registration with a wrong key",
            "a registration at an unknown id scope",
            "a message over 256 KB",
        ],
        &["mosquitto"],
        "its programs connect for one purpose each; this needs a connection that sends and listens",
    ),
    (
        &["a batch of telemetry"],
        &["python", "paho", "mosquitto"],
        "MQTT has no batches",
    ),
    (
        &["a message is rejected", "a message is abandoned"],
        &["python", "paho", "mosquitto"],
        "MQTT has only acknowledgements",
    ),
    (
        &[
            "reported properties",
            "desired properties",
            "a twin property with a dot in its name",
        ],
        &["node-http", "node-1.3-http"],
        "over HTTPS the SDK has no twin",
    ),
    (
        &["a model id"],
        &["node-amqp", "node-http"],
        "the SDK names a model over MQTT only",
    ),
    (
        &["a model id"],
        &["node-1.3"],
        "this version knows no models",
    ),
    (&["a model id"], &["mosquitto"], "not driven by this client"),
    (
        &[
            "a model id",
            "methods",
            "twin",
            "reported properties",
            "desired properties",
            "a second connection takes over",
            "registration by a group key",
            "a twin property with a dot in its name",
            "a registration with a wrong key",
            "a registration at an unknown id scope",
        ],
        &["uamqp"],
        "not driven by this client",
    ),
    (
        &["a session goes on", "a will"],
        &[
            "node-amqp",
            "node-1.3-amqp",
            "node-http",
            "node-1.3-http",
            "rhea",
            "uamqp",
        ],
        "only MQTT has it",
    ),
    (&["a will"], &["node", "python"], "the SDK cannot set one"),
    (
        &["a session goes on", "a token is renewed"],
        &["node-1.3"],
        "not driven by this version",
    ),
    (
        &["a token is renewed"],
        &["node-http"],
        "a request has a token of its own",
    ),
    (
        &["a token is renewed"],
        &["paho", "mosquitto"],
        "over MQTT that is another connection: a session goes on",
    ),
    (
        &["a token is renewed"],
        &["uamqp"],
        "not driven by this client",
    ),
    (
        &["a second connection takes over"],
        &["node-http", "node-1.3-http"],
        "HTTPS has no connection that stands for a device",
    ),
    (
        &["a second connection takes over"],
        &["node-1.3"],
        "not driven by this version",
    ),
];

/// Why that cell was not run, if there is a reason.
pub(crate) fn reason(column: &str, row: &str) -> Option<&'static str> {
    let fits = |(rows, columns, _): &&(&[&str], &[&str], &str)| {
        rows.contains(&row) && columns.iter().any(|start| column.starts_with(start))
    };
    REASONS.iter().find(fits).map(|(_, _, reason)| *reason)
}
