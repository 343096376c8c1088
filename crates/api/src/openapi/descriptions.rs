//! Descriptions of the operations.

use drawspan_api_types::connection_change::{ConnectionEvent, MissedChanges};
use drawspan_api_types::words::{Connection, DeviceId, Prefix, SubscriptionKind, number, text};
use drawspan_api_types::{answers, events, requests, usage};
use drawspan_hub::SubscriptionType;
use utoipa::openapi::Required;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};

use super::description::{Described, Tag, limit, reference};
use crate::limits::{
    DEAD_LETTER_LIMIT, LIST_LIMIT, MAX_DEAD_LETTER_LIMIT, MAX_DEAD_LETTER_NUMBER,
    MAX_IDEMPOTENCY_KEY_BYTES, MAX_LIST_LIMIT, MAX_RECEIVE_WAIT_S, MAX_USAGE_LIMIT, USAGE_LIMIT,
};
use crate::operation::Operation;
use crate::problem::Kind;
use crate::usage::ORDERS;

/// Problems of operations that contact the hub or DPS.
const HUB: &[Kind] = &[
    Kind::Throttled,
    Kind::HubRefused,
    Kind::HubUnreachable,
    Kind::QueueFull,
    Kind::ConnectionsFull,
    Kind::NotSent,
    Kind::FateUnknown,
];

/// The description of an operation.
pub(super) fn describe(operation: Operation) -> Described {
    use Operation as O;
    use SubscriptionType as S;
    match operation {
        O::SendMessage => send_message(),
        O::SendMessages => send_messages(),
        O::GetTwin => get_twin(),
        O::UpdateReportedProperties => update_reported_properties(),
        O::GetDesiredPropertiesSubscription => get_subscription(S::DesiredProperties),
        O::CreateOrUpdateDesiredPropertiesSubscription => put_subscription(S::DesiredProperties),
        O::DeleteDesiredPropertiesSubscription => delete_subscription(S::DesiredProperties),
        O::GetMethodsSubscription => get_subscription(S::Methods),
        O::CreateOrUpdateMethodsSubscription => put_subscription(S::Methods),
        O::DeleteMethodsSubscription => delete_subscription(S::Methods),
        O::GetC2DMessageSubscription => get_subscription(S::C2dMessages),
        O::CreateOrUpdateC2DMessageSubscription => put_subscription(S::C2dMessages),
        O::DeleteC2DMessageSubscription => delete_subscription(S::C2dMessages),
        O::GetConnectionStatusSubscription => get_subscription(S::ConnectionStatus),
        O::CreateOrUpdateConnectionStatusSubscription => put_subscription(S::ConnectionStatus),
        O::DeleteConnectionStatusSubscription => delete_subscription(S::ConnectionStatus),
        O::ListFleetSubscriptions => list_fleet_subscriptions(),
        O::GetFleetSubscription => get_fleet_subscription(),
        O::CreateOrUpdateFleetSubscription => put_fleet_subscription(),
        O::DeleteFleetSubscription => delete_fleet_subscription(),
        O::ReceiveMessage => receive_message(),
        O::CompleteMessage => settle(
            "Complete a message",
            "The device has processed the message; the hub removes it.",
        ),
        O::AbandonMessage => settle(
            "Abandon a message",
            "The hub delivers the message again, as often as its settings allow.",
        ),
        O::RejectMessage => settle(
            "Reject a message",
            "The device cannot process the message; the hub dead-letters it.",
        ),
        O::ListDeadLetters => list_dead_letters(),
        O::ReplayDeadLetter => replay_dead_letter(),
        O::DeleteDeadLetter => delete_dead_letter(),
        O::ListDevices => list_devices(),
        O::GetUsage => get_usage(),
        O::Register => register(),
        O::GetCurrentConnectionStatus => get_current_connection_status(),
        O::StreamConnectionStatus => stream_connection_status(),
        O::Resync => resync(),
        O::GetDiagnostics => get_diagnostics(),
        O::DeleteDevice => delete_device(),
        O::GetHealth => get_health(),
        O::GetLiveness => get_liveness(),
        O::GetReadiness => get_readiness(),
        O::GetMetrics => get_metrics(),
    }
}

fn send_message() -> Described {
    let about = "Sends one message under the device's own identity. 200 means that the hub accepted it; 504 that the result is unknown. The call \
                 waits for registering, connecting and resending, up to the bridge's `request_timeout` (30 s).";
    idempotent(Described::new(Tag::Telemetry, "Send a message", about))
        .query("receive", "Whether to answer with a waiting cloud-to-device message, as `ReceiveMessage` does.", flag())
        .query("wait", WAIT, wait())
        .takes::<requests::Message>(Required::True, requests::message())
        .answers_with::<events::HeldMessage<'_>>(200, "The hub accepted the message. The answer has a body only with `receive=true` and a waiting message.")
        .saying("Idempotency-Replayed", "`true` if the key was repeated, and nothing was sent.")
        .fails(HUB)
        .fails(&[Kind::DeviceRate, Kind::DeviceDailyBlocks])
}

fn send_messages() -> Described {
    let about = "Sends 1 to 500 messages of one or many devices. The answer has one result per message, in the order of the request; messages of \
                 one device keep their order. 200 means that every message has a result, not that every message was accepted.";
    idempotent(Described::new(
        Tag::Telemetry,
        "Send messages of many devices",
        about,
    ))
    .takes::<requests::Batch>(Required::True, requests::batch())
    .answers_with::<answers::BatchAnswer<'_>>(200, "A result for every message.")
    .saying(
        "Idempotency-Replayed",
        "`true` if the key was repeated, and nothing was sent.",
    )
}

/// Adds the header `Idempotency-Key`.
fn idempotent(described: Described) -> Described {
    let key = text("Key of the message or batch, chosen by the caller.")
        .min_length(Some(1))
        .max_length(Some(MAX_IDEMPOTENCY_KEY_BYTES))
        .pattern(Some("^[!-~]+$"))
        .examples(["3f2b8c6e"]);
    let about = "Prevents duplicates: for 24 hours after a successful request, a request with the same key gets the same answer and is not sent. A \
                 request that arrives while the first is in progress waits for it. A message without an answer from the hub may still arrive twice.";
    described
        .header("Idempotency-Key", about, Schema::from(key))
        .fails(&[
            Kind::InvalidIdempotencyKey,
            Kind::IdempotencyMismatch,
            Kind::NotStored,
        ])
}

fn get_twin() -> Described {
    Described::new(
        Tag::Twin,
        "Read the twin",
        "Reads the device's twin at its hub.",
    )
    .answers_with::<answers::TwinAnswer<'_>>(200, "The twin.")
    .fails(HUB)
}

fn update_reported_properties() -> Described {
    let about = "Merges a patch into the reported properties; null removes a property. If the hub finds the patch invalid, the answer is 400 with the hub's words.";
    Described::new(Tag::Twin, "Change reported properties", about)
        .takes::<requests::ReportedPatch>(Required::True, requests::patch())
        .answers(204, "The hub accepted the patch.")
        .fails(HUB)
}

/// Summaries for reading, creating and deleting a subscription, and its description.
const fn events(kind: SubscriptionType) -> [&'static str; 4] {
    match kind {
        SubscriptionType::DesiredProperties => [
            "Read the subscription to desired properties",
            "Subscribe to desired properties",
            "End the subscription to desired properties",
            "Changes of desired properties are posted to the callback as `DesiredPropertyUpdate`; the device stays connected.",
        ],
        SubscriptionType::Methods => [
            "Read the subscription to methods",
            "Subscribe to methods",
            "End the subscription to methods",
            "Direct methods are posted to the callback as `DirectMethodInvocation`, whose answer is the method's answer; the device stays connected.",
        ],
        SubscriptionType::C2dMessages => [
            "Read the subscription to messages",
            "Subscribe to messages",
            "End the subscription to messages",
            "Cloud-to-device messages are posted to the callback as `C2DMessage`, whose answer settles them; the device stays connected.",
        ],
        SubscriptionType::ConnectionStatus => [
            "Read the subscription to the connection",
            "Subscribe to the connection",
            "End the subscription to the connection",
            "Changes of the device's connection are posted to the callback as `ConnectionStatusChange`. This subscription does not connect the device.",
        ],
    }
}

fn get_subscription(kind: SubscriptionType) -> Described {
    let [summary, .., about] = events(kind);
    Described::new(Tag::Subscriptions, summary, about)
        .answers_with::<answers::Subscription<'_>>(200, "The subscription.")
        .fails(&[Kind::NoSubscription])
}

fn put_subscription(kind: SubscriptionType) -> Described {
    let [_, summary, _, about] = events(kind);
    Described::new(Tag::Subscriptions, summary, about)
        .takes::<requests::Subscribe>(Required::True, requests::subscribe())
        .answers_with::<answers::Subscription<'_>>(
            200,
            "The stored subscription. It replaces an earlier one.",
        )
        .fails(&[Kind::CallbackRefused, Kind::QueueFull, Kind::NotStored])
}

fn delete_subscription(kind: SubscriptionType) -> Described {
    let [_, _, summary, _] = events(kind);
    Described::new(
        Tag::Subscriptions,
        summary,
        "Stops events of this kind, unless a fleet subscription covers the device.",
    )
    .answers(204, "The subscription does not exist (any more).")
    .fails(&[Kind::QueueFull, Kind::NotStored])
}

fn list_fleet_subscriptions() -> Described {
    Described::new(
        Tag::FleetSubscriptions,
        "List fleet subscriptions",
        "Lists all fleet subscriptions.",
    )
    .answers_with::<answers::FleetSubscriptions<'_>>(200, "The fleet subscriptions.")
}

fn get_fleet_subscription() -> Described {
    fleet(
        "Read a fleet subscription",
        "Reads the subscription of this kind and exactly this prefix.",
    )
    .answers_with::<answers::FleetSubscription<'_>>(200, "The subscription.")
    .fails(&[Kind::NoSubscription])
}

fn put_fleet_subscription() -> Described {
    fleet("Subscribe for many devices", "Subscribes for all known devices whose ids begin with `prefix`. Devices are kept connected for it only with `keepConnected`.")
        .takes::<requests::FleetSubscribe>(Required::True, requests::fleet_subscribe())
        .answers_with::<answers::FleetSubscription<'_>>(200, "The stored subscription. It replaces an earlier one.")
        .fails(&[Kind::CallbackRefused, Kind::QueueFull, Kind::NotStored])
}

fn delete_fleet_subscription() -> Described {
    fleet(
        "End a fleet subscription",
        "Removes the subscription of this kind and exactly this prefix.",
    )
    .answers(204, "The subscription does not exist (any more).")
    .fails(&[Kind::QueueFull, Kind::NotStored])
}

/// An operation on one fleet subscription. An unknown kind is an unknown route.
fn fleet(summary: &'static str, about: &'static str) -> Described {
    Described::new(Tag::FleetSubscriptions, summary, about)
        .query(
            "prefix",
            "Prefix of device ids; all devices if it is absent or empty.",
            reference::<Prefix>(),
        )
        .fails(&[Kind::NotFound])
}

const WAIT: &str = "How many seconds to wait for a message.";

fn receive_message() -> Described {
    let about = "Connects the device and returns its next cloud-to-device message, which is held for it until it is settled or its lock ends. \
                 Until then, further calls return the same message with the same token. Not for devices with a subscription to messages.";
    Described::new(Tag::Downlink, "Receive a message", about)
        .query("wait", WAIT, wait())
        .answers_with::<events::HeldMessage<'_>>(200, "A message, held for the device.")
        .answers(204, "No message came.")
        .fails(HUB)
        .fails(&[Kind::Subscribed])
}

fn settle(summary: &'static str, about: &'static str) -> Described {
    Described::new(Tag::Downlink, summary, about)
        .answers(204, "The hub has confirmed it.")
        .fails(HUB)
        .fails(&[Kind::LockLost])
}

fn list_dead_letters() -> Described {
    Described::new(Tag::DeadLetters, "List dead letters", "Lists undelivered events, oldest first. Methods are not included, since their callers have gone.")
        .query("deviceId", "Only dead letters of this device.", reference::<DeviceId>())
        .query("prefix", "Only dead letters of devices whose ids begin with this. A key with a prefix sees only its own devices in any case.", reference::<Prefix>())
        .query("subscriptionType", "Only dead letters of this kind.", reference::<SubscriptionKind>())
        .query("after", "Only dead letters with higher numbers: `continuation` of the previous page.", Schema::from(ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(0)).maximum(Some(MAX_DEAD_LETTER_NUMBER))))
        .query("limit", "Maximum number of dead letters in the answer.", limit(DEAD_LETTER_LIMIT, MAX_DEAD_LETTER_LIMIT))
        .answers_with::<answers::DeadLetters<'_>>(200, "A page of dead letters.")
        .fails(&[Kind::NotRead])
}

fn replay_dead_letter() -> Described {
    Described::new(Tag::DeadLetters, "Send a dead letter again", "Sends the event to the current receiver of such events of the device, with the same `webhook-id`. The dead letter is removed when the receiver accepts the event. If it is already being sent, it is not sent again.")
        .answers(202, "The event is queued.")
        .fails(&[Kind::NoDeadLetter, Kind::NoSubscription, Kind::QueueFull, Kind::NotRead])
}

fn delete_dead_letter() -> Described {
    Described::new(
        Tag::DeadLetters,
        "Remove a dead letter",
        "Removes the dead letter without delivering it.",
    )
    .answers(204, "The dead letter is removed.")
    .fails(&[Kind::NoDeadLetter, Kind::NotStored])
}

fn get_usage() -> Described {
    Described::new(Tag::Devices, "Get today's use", "Returns how many messages, and blocks of 4 KB, devices sent today (UTC): per hub, and for the devices that sent most. A hub shares its rates and its daily quota among all devices and cannot throttle one; this shows who uses them.")
        .query("sort", "What counts first: `blocks` or `sends`.", order())
        .query("prefix", "Only devices whose ids at the hub begin with this. A key with a prefix sees only its own devices in any case.", reference::<Prefix>())
        .query("limit", "Maximum number of devices in the answer.", limit(USAGE_LIMIT, MAX_USAGE_LIMIT))
        .answers_with::<usage::Usage<'_>>(200, "Today's use.")
}

/// The parameter `sort`.
fn order() -> Schema {
    let words = ORDERS.map(|(word, _)| word);
    ObjectBuilder::new()
        .schema_type(Type::String)
        .enum_values(Some(words))
        .default(Some("blocks".into()))
        .into()
}

fn list_devices() -> Described {
    Described::new(Tag::Devices, "List devices", "Lists devices that are in memory, have a subscription, or whose hub is remembered, in the order of their ids. A device must meet all conditions.")
        .query("prefix", "Only devices whose ids begin with this.", reference::<Prefix>())
        .query("status", "Only devices with this connection status.", reference::<Connection>())
        .query("subscription", "Only devices with their own subscription of this kind.", reference::<SubscriptionKind>())
        .query("limit", "Maximum number of devices in the answer.", limit(LIST_LIMIT, MAX_LIST_LIMIT))
        .query("after", "Only ids after this one: `continuation` of the previous page.", reference::<DeviceId>())
        .answers_with::<answers::Devices<'_>>(200, "A page of devices.")
}

fn register() -> Described {
    let about = "Registers the device at DPS, with its model if one is given, and remembers its hub. This is optional: the first message does the same. \
                 The body may be omitted.";
    Described::new(Tag::Devices, "Register a device", about)
        .takes::<requests::Registration>(Required::False, requests::registration())
        .answers(200, "The device's hub is known.")
        .fails(HUB)
        .fails(&[Kind::NotStored])
}

fn get_current_connection_status() -> Described {
    Described::new(
        Tag::Devices,
        "Read the connection",
        "Reads the connection status in the words of the original bridge; 404 for a device that never tried to connect.",
    )
    .answers_with::<answers::ConnectionAnswer>(200, "The connection.")
}

fn stream_connection_status() -> Described {
    const SAMPLE: &str = "event: connectionStatus\nid: 9f3c6a2b1d4e5f60-18\ndata: {\"deviceId\":\"pump-1\",\"at\":\"2026-11-30T10:20:30.1234567Z\",\"status\":\"Disconnected_Retrying\",\"reason\":\"Communication_Error\",\"cause\":\"other-client\",\"detail\":\"another client, as h.azure-devices.net says: amqp:link:stolen\",\"sessionSeconds\":61.2}\n\n";
    let about = "Changes of devices' connections as they happen, as server-sent events: `connectionStatus` with a `ConnectionEvent` as data, and \
                 `missed` with `MissedChanges` where the listener was too slow, or away for too long. It begins with what comes next; with \
                 `Last-Event-ID` it goes on after that event, as far as that is still in memory. It ends when the bridge stops.";
    Described::new(Tag::Devices, "Follow connections", about)
        .query(
            "prefix",
            "Only devices whose ids begin with this; all devices if it is absent or empty.",
            reference::<Prefix>(),
        )
        .header(
            "Last-Event-ID",
            "The id of the last event that the listener has seen.",
            Schema::from(text("The `id` of an event of this stream.")),
        )
        .answers_events::<ConnectionEvent<'_>, MissedChanges<'_>>("The events.", SAMPLE)
        .fails(&[Kind::TooManyListeners])
}

fn resync() -> Described {
    Described::new(Tag::Devices, "Try a connection again", "Reads the device's subscriptions again and, if its connection failed, retries it. The call does not wait for the result.")
        .answers(202, "The request is accepted.")
        .fails(&[Kind::QueueFull])
}

fn get_diagnostics() -> Described {
    Described::new(
        Tag::Devices,
        "Diagnose the connection",
        "Returns everything that the bridge knows about the device's connection.",
    )
    .answers_with::<answers::Diagnostics<'_>>(200, "The diagnostics.")
}

fn delete_device() -> Described {
    Described::new(Tag::Devices, "Forget a device", "Closes the device's connection and removes everything stored for it, including its hub and its subscriptions. Nothing changes at the hub or at DPS.")
        .answers(204, "The device is forgotten.")
        .fails(&[Kind::QueueFull, Kind::NotStored, Kind::NotSent])
}

fn get_health() -> Described {
    Described::new(
        Tag::Probes,
        "Healthy",
        "Always answers 200, as the original bridge does.",
    )
    .answers_text(200, "Always.", "Healthy")
}

fn get_liveness() -> Described {
    Described::new(
        Tag::Probes,
        "Liveness",
        "Answers while the process is alive. Restart the process if there is no answer.",
    )
    .answers_with::<answers::Liveness>(200, "The process is alive.")
}

fn get_readiness() -> Described {
    Described::new(
        Tag::Probes,
        "Readiness",
        "Answers 200 if the bridge can serve requests; 503 while it starts, stops, or can reach no hub.",
    )
    .answers_with::<answers::Readiness>(200, "The bridge can serve requests.")
    .fails(&[Kind::NotReady])
}

fn get_metrics() -> Described {
    const SAMPLE: &str = "# TYPE drawspan_devices gauge\ndrawspan_devices{state=\"connected\"} 7\n";
    let about = "Metrics of the process for Prometheus: OpenMetrics 1.0 if `Accept` asks for it, otherwise the text format 0.0.4. They \
                 name no devices, callers or receivers.";
    Described::new(Tag::Probes, "Metrics", about)
        .answers_text(200, "The metrics.", SAMPLE)
        .or_text_as("application/openmetrics-text", &format!("{SAMPLE}# EOF\n"))
}

fn wait() -> Schema {
    number(0, MAX_RECEIVE_WAIT_S, 0).into()
}

fn flag() -> Schema {
    ObjectBuilder::new()
        .schema_type(Type::Boolean)
        .default(Some(false.into()))
        .into()
}
