//! The rows: what a device does at a hub, and how its client names a refusal.

/// What a device does.
pub(crate) const CAPABILITIES: &[&str] = &[
    "telemetry",
    "a batch of telemetry",
    "messages to the device",
    "a message is completed",
    "a message is rejected",
    "a message is abandoned",
    "methods",
    "twin",
    "reported properties",
    "desired properties",
    "a model id",
    "a token is renewed",
    "a session goes on",
    "a second connection takes over",
    "a will",
    "registration by a group key",
    "registration by an individual key",
    "registration by a certificate",
    "a device with a certificate",
    "a module",
    "file upload",
];

/// What is refused. A cell has the class of the error that the client raised, or what else it said.
pub(crate) const REFUSALS: &[&str] = &[
    "a wrong key",
    "an unknown device",
    "a disabled device",
    "an expired token",
    "a message over 256 KB",
    "telemetry above the rate",
    "telemetry beyond the quota",
    "a twin above the rate",
    "a twin beyond the quota",
    "a connection above the rate",
    "a twin property with a dot in its name",
    "a registration with a wrong key",
    "a registration at an unknown id scope",
];

/// The row of that name.
pub(crate) fn row(name: &str) -> Option<&'static str> {
    all().find(|row| *row == name)
}

/// All rows.
pub(crate) fn all() -> impl Iterator<Item = &'static str> {
    CAPABILITIES.iter().chain(REFUSALS).copied()
}
