//! What is said about each operation.

use drawspan_api_types::words::{Connection, DeviceId, Prefix, SubscriptionKind, number, text};
use drawspan_api_types::{answers, events, requests};
use drawspan_hub::SubscriptionType;
use utoipa::openapi::Required;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};

use super::described::{Described, Tag, limit, reference};
use crate::limits::{
    DEAD_LETTER_LIMIT, LIST_LIMIT, MAX_DEAD_LETTER_LIMIT, MAX_DEAD_LETTER_NUMBER,
    MAX_IDEMPOTENCY_KEY_BYTES, MAX_LIST_LIMIT, MAX_RECEIVE_WAIT_S,
};
use crate::operation::Operation;
use crate::problem::Kind;

/// What an operation that speaks to the hub, or to DPS, may end with.
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
            "The device has dealt with it; the hub forgets it.",
        ),
        O::AbandonMessage => settle(
            "Abandon a message",
            "The hub delivers it again, as often as its settings allow.",
        ),
        O::RejectMessage => settle(
            "Reject a message",
            "The device will never take it; the hub dead-letters it.",
        ),
        O::ListDeadLetters => list_dead_letters(),
        O::ReplayDeadLetter => replay_dead_letter(),
        O::DeleteDeadLetter => delete_dead_letter(),
        O::ListDevices => list_devices(),
        O::Register => register(),
        O::GetCurrentConnectionStatus => get_current_connection_status(),
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
    let about = "Sends one message under the device's own identity. 200 means that the hub accepted it; 504 that nobody knows. The call waits \
                 for registering, connecting and sending again, up to the bridge's `request_timeout` (30 s).";
    idempotent(Described::new(Tag::Telemetry, "Send a message", about))
        .query("receive", "Whether to answer with a waiting cloud-to-device message, as `ReceiveMessage` does.", flag())
        .query("wait", WAIT, wait())
        .takes::<requests::Message>(Required::True, requests::message())
        .answers_with::<events::HeldMessage<'_>>(200, "The hub accepted the message. Without a body, unless `receive=true` and a message waits.")
        .saying("Idempotency-Replayed", "`true` where this answers a repeated key, and nothing was sent.")
        .fails(HUB)
}

fn send_messages() -> Described {
    let about = "Sends 1 to 500 messages of one or many devices. Each has its own fate, told in the order of the request; those of one device \
                 keep their order. 200 says that every message has its result, not that every one was accepted.";
    idempotent(Described::new(
        Tag::Telemetry,
        "Send messages of many devices",
        about,
    ))
    .takes::<requests::Batch>(Required::True, requests::batch())
    .answers_with::<answers::BatchAnswer<'_>>(200, "A result for every message.")
    .saying(
        "Idempotency-Replayed",
        "`true` where this answers a repeated key, and nothing was sent.",
    )
}

/// Takes the header `Idempotency-Key`.
fn idempotent(described: Described) -> Described {
    let key = text("Any name for what is sent.")
        .min_length(Some(1))
        .max_length(Some(MAX_IDEMPOTENCY_KEY_BYTES))
        .pattern(Some("^[!-~]+$"))
        .examples(["3f2b8c6e"]);
    let about = "For 24 hours a request with the same key is answered as the first one was, if that succeeded, without being sent again. A request \
                 that comes while the first is under way waits for it. What the bridge sent and never heard of may still come twice.";
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
    let about = "Merges a patch into what the device reports; a member that is null is removed. A patch that the hub finds invalid is 400, in the hub's words.";
    Described::new(Tag::Twin, "Change reported properties", about)
        .takes::<requests::ReportedPatch>(Required::True, requests::patch())
        .answers(204, "The hub took the patch.")
        .fails(HUB)
}

/// Which events, in a sentence.
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
            "Direct methods are posted to the callback as `DirectMethodInvocation`, and answered by its answer; the device stays connected.",
        ],
        SubscriptionType::C2dMessages => [
            "Read the subscription to messages",
            "Subscribe to messages",
            "End the subscription to messages",
            "Cloud-to-device messages are posted to the callback as `C2DMessage`, and settled by its answer; the device stays connected.",
        ],
        SubscriptionType::ConnectionStatus => [
            "Read the subscription to the connection",
            "Subscribe to the connection",
            "End the subscription to the connection",
            "Changes of the device's connection are posted to the callback as `ConnectionStatusChange`. This alone does not connect the device.",
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
            "The subscription, which is stored; it replaces an earlier one.",
        )
        .fails(&[Kind::CallbackRefused, Kind::QueueFull, Kind::NotStored])
}

fn delete_subscription(kind: SubscriptionType) -> Described {
    let [_, _, summary, _] = events(kind);
    Described::new(Tag::Subscriptions, summary, "No events of this kind are posted any more, unless a fleet subscription covers the device.")
        .answers(204, "There is no such subscription any more, or never was.")
        .fails(&[Kind::QueueFull, Kind::NotStored])
}

fn list_fleet_subscriptions() -> Described {
    Described::new(
        Tag::FleetSubscriptions,
        "List fleet subscriptions",
        "All of them.",
    )
    .answers_with::<answers::FleetSubscriptions<'_>>(200, "The fleet subscriptions.")
}

fn get_fleet_subscription() -> Described {
    fleet(
        "Read a fleet subscription",
        "The one of this kind and exactly this prefix.",
    )
    .answers_with::<answers::FleetSubscription<'_>>(200, "The subscription.")
    .fails(&[Kind::NoSubscription])
}

fn put_fleet_subscription() -> Described {
    fleet("Subscribe for many devices", "For known devices whose ids begin with `prefix`. Devices stay connected for it only with `keepConnected`.")
        .takes::<requests::FleetSubscribe>(Required::True, requests::fleet_subscribe())
        .answers_with::<answers::FleetSubscription<'_>>(200, "The subscription, which is stored; it replaces an earlier one.")
        .fails(&[Kind::CallbackRefused, Kind::QueueFull, Kind::NotStored])
}

fn delete_fleet_subscription() -> Described {
    fleet(
        "End a fleet subscription",
        "The one of this kind and exactly this prefix.",
    )
    .answers(204, "There is no such subscription any more, or never was.")
    .fails(&[Kind::QueueFull, Kind::NotStored])
}

/// What is about one fleet subscription. A kind that does not exist is a route that does not exist.
fn fleet(summary: &'static str, about: &'static str) -> Described {
    Described::new(Tag::FleetSubscriptions, summary, about)
        .query(
            "prefix",
            "What ids of devices begin with; all devices when it is absent or empty.",
            reference::<Prefix>(),
        )
        .fails(&[Kind::NotFound])
}

const WAIT: &str = "How many seconds to wait for a message that is not there yet.";

fn receive_message() -> Described {
    let about = "Connects the device and hands out its next cloud-to-device message, which is held for it until it is settled or its lock is over. \
                 A message that is not settled comes again, with the same token. Not for devices with a subscription to messages.";
    Described::new(Tag::Downlink, "Ask for a message", about)
        .query("wait", WAIT, wait())
        .answers_with::<events::HeldMessage<'_>>(200, "A message, held for the device.")
        .answers(204, "No message came.")
        .fails(HUB)
        .fails(&[Kind::Subscribed])
}

fn settle(summary: &'static str, about: &'static str) -> Described {
    Described::new(Tag::Downlink, summary, about)
        .answers(204, "The hub knows.")
        .fails(HUB)
        .fails(&[Kind::LockLost])
}

fn list_dead_letters() -> Described {
    Described::new(Tag::DeadLetters, "List dead letters", "Events that their receivers did not take, oldest first. Methods are not among them: nobody waits for their answer.")
        .query("deviceId", "Only those of this device.", reference::<DeviceId>())
        .query("prefix", "Only those of devices whose ids begin so. A key with a prefix sees those of its own devices in any case.", reference::<Prefix>())
        .query("subscriptionType", "Only those of this kind.", reference::<SubscriptionKind>())
        .query("after", "Only those with higher numbers: `continuation` of the page before.", Schema::from(ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(0)).maximum(Some(MAX_DEAD_LETTER_NUMBER))))
        .query("limit", "Most dead letters in the answer.", limit(DEAD_LETTER_LIMIT, MAX_DEAD_LETTER_LIMIT))
        .answers_with::<answers::DeadLetters<'_>>(200, "A page of them.")
        .fails(&[Kind::NotRead])
}

fn replay_dead_letter() -> Described {
    Described::new(Tag::DeadLetters, "Send a dead letter again", "To where the device's events of its kind go now, with the same `webhook-id`. It is gone from the list once its receiver took it. One that is under way already is not sent a second time.")
        .answers(202, "It is queued.")
        .fails(&[Kind::NoDeadLetter, Kind::NoSubscription, Kind::QueueFull, Kind::NotRead])
}

fn delete_dead_letter() -> Described {
    Described::new(
        Tag::DeadLetters,
        "Remove a dead letter",
        "Nobody will get it.",
    )
    .answers(204, "It is gone.")
    .fails(&[Kind::NoDeadLetter, Kind::NotStored])
}

fn list_devices() -> Described {
    Described::new(Tag::Devices, "List devices", "Devices that are in memory, have a subscription, or whose hub is remembered, in the order of their ids. Every condition must hold.")
        .query("prefix", "What their ids begin with.", reference::<Prefix>())
        .query("status", "Their connection.", reference::<Connection>())
        .query("subscription", "A subscription of their own.", reference::<SubscriptionKind>())
        .query("limit", "Most devices in the answer.", limit(LIST_LIMIT, MAX_LIST_LIMIT))
        .query("after", "Only ids after this one: `continuation` of the page before.", reference::<DeviceId>())
        .answers_with::<answers::Devices<'_>>(200, "A page of them.")
}

fn register() -> Described {
    let about = "Registers the device at DPS, with its model if one is given, and remembers its hub. No device needs it: the first message does the same. \
                 A body may be left out.";
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
        "In the words of the original bridge; 404 for a device that never tried to connect.",
    )
    .answers_with::<answers::ConnectionAnswer>(200, "The connection.")
}

fn resync() -> Described {
    Described::new(Tag::Devices, "Try a connection again", "Reads the device's subscriptions again and, if its connection failed, tries once more. Does not wait for it.")
        .answers(202, "The order is taken.")
        .fails(&[Kind::QueueFull])
}

fn get_diagnostics() -> Described {
    Described::new(
        Tag::Devices,
        "Ask why a device is (not) connected",
        "Everything that the bridge knows about the device's connection.",
    )
    .answers_with::<answers::Diagnostics<'_>>(200, "What is known.")
}

fn delete_device() -> Described {
    Described::new(Tag::Devices, "Forget a device", "Closes its connection, and removes its hub, its subscriptions and what else is remembered. Hub and DPS are not told.")
        .answers(204, "Nothing is known about the device any more.")
        .fails(&[Kind::QueueFull, Kind::NotStored, Kind::NotSent])
}

fn get_health() -> Described {
    Described::new(
        Tag::Probes,
        "Healthy",
        "What the original said, whatever happened.",
    )
    .answers_text(200, "Always.", "Healthy")
}

fn get_liveness() -> Described {
    Described::new(
        Tag::Probes,
        "Whether the process lives",
        "Without this answer it is to be started again.",
    )
    .answers_with::<answers::Liveness>(200, "It lives.")
}

fn get_readiness() -> Described {
    Described::new(
        Tag::Probes,
        "Whether requests make sense",
        "503 while the bridge starts, stops, or can reach no hub.",
    )
    .answers_with::<answers::Readiness>(200, "They do.")
    .fails(&[Kind::NotReady])
}

fn get_metrics() -> Described {
    const SAMPLE: &str = "# TYPE drawspan_devices gauge\ndrawspan_devices{state=\"connected\"} 7\n";
    let about = "Figures of the whole process for Prometheus: OpenMetrics 1.0 for whoever asks for it in `Accept`, else the text \
                 format 0.0.4. No device, caller or receiver is named.";
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
