//! The table of metrics: name, kind, labels and meaning of each. The reference in `docs/operate.md` is generated from it.

/// The kind of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Counts since the start of the process; its samples end in `_total`.
    Counter,
    /// A current value.
    Gauge,
    /// Durations in buckets; its samples end in `_bucket`, `_sum` and `_count`.
    Histogram,
    /// Constant information in labels; the value is always 1, and the sample ends in `_info`.
    Info,
}

/// Declares the metrics: name without the suffix of its kind, labels, meaning.
macro_rules! metrics {
    ($($variant:ident: $kind:ident $name:literal [$($label:literal),*] $about:literal;)+) => {
        /// A metric. See the module.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Metric {
            $(#[doc = $about] $variant,)+
        }

        impl Metric {
            /// All metrics, in the order of the page.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            const fn row(self) -> (Kind, &'static str, &'static [&'static str], &'static str) {
                match self {
                    $(Self::$variant => (Kind::$kind, $name, &[$($label),*], $about),)+
                }
            }
        }
    };
}

metrics! {
    Build: Info "drawspan_build" ["version"] "The version that runs";
    HttpRequests: Counter "drawspan_http_requests" ["operation", "code"] "Answered requests, by operation of the API (its id in /openapi.json; none if the request reached no operation) and HTTP status";
    MessageSeconds: Histogram "drawspan_message_duration_seconds" [] "Time from the arrival of a complete message until its hub accepted it, including connecting, waiting and resending; its _count is the number of accepted messages";
    MessagesFailed: Counter "drawspan_messages_failed" ["reason"] "Well-formed messages that were not accepted, by the last word of the problem's type";
    Resends: Counter "drawspan_resends" ["reason"] "Messages and twin requests that were resent within their time, by reason: throttled or hubFailed, as the hub answered; connectionLost";
    ResendsOutOfTime: Counter "drawspan_resends_out_of_time" ["reason"] "Messages and twin requests that were refused as throttled or hubFailed with too little time left to resend them";
    OverDeviceLimit: Counter "drawspan_messages_over_device_limit" ["limit"] "Messages refused because their device was above a limit that each device has: rate (device_rate) or dailyBlocks (device_daily_blocks)";
    IdempotentReplays: Counter "drawspan_idempotency_replays" [] "Requests that got the result of an earlier request with the same Idempotency-Key";

    Devices: Gauge "drawspan_devices" ["state"] "Devices in memory, by state, as in their diagnostics";
    HubReachable: Gauge "drawspan_hub_reachable" ["hub", "service"] "1 if the last attempt to reach the hub, or DPS (service is hub or dps), succeeded, else 0";
    HubTakesCredentials: Gauge "drawspan_hub_credentials_accepted" ["hub", "service"] "0 while the hub, or DPS (service is hub or dps), refuses the credentials of many devices, or has refused some and accepted none since the start, else 1";
    HubQuotaLasts: Gauge "drawspan_hub_quota_lasts" ["hub", "service"] "0 while the hub's daily quota is used up: it refuses devices, or the messages of connected ones, else 1";
    HubConnections: Gauge "drawspan_hub_connections" ["hub"] "AMQP connections that are open or being opened";
    HubOwnConnections: Gauge "drawspan_hub_certificate_connections" ["hub"] "Those of these connections that one device has for itself, because it proves itself by a certificate";
    HubSlots: Gauge "drawspan_hub_token_slots" ["hub"] "Devices that these connections can hold";
    HubSlotsUsed: Gauge "drawspan_hub_token_slots_used" ["hub"] "Devices that the hub counts on these connections: connected devices and, with per-device keys, departed ones until their tokens expire";
    HubQueue: Gauge "drawspan_hub_connect_queue" ["hub"] "Devices that wait for their turn to connect; abandoned attempts count for a while";
    HubConnectionsEnded: Counter "drawspan_hub_connections_ended" ["hub", "reason"] "AMQP connections that failed to open or ended unexpectedly, by kind of failure";
    ConnectAttempts: Counter "drawspan_device_connect_attempts" ["hub"] "Attempts to connect a device";
    Connects: Counter "drawspan_device_connects" ["hub"] "Successful attempts to connect a device";
    ConnectFailures: Counter "drawspan_device_connect_failures" ["hub", "reason"] "Failed attempts to connect a device, by kind of failure, as in lastFailure";
    Disconnects: Counter "drawspan_device_disconnects" ["hub", "reason"] "Connected devices that lost their connection, by kind of failure";

    DpsQueue: Gauge "drawspan_dps_queue" [] "Registrations that wait for their turn at DPS";
    DpsUnderWay: Gauge "drawspan_dps_registrations_under_way" [] "Registrations in progress at DPS";
    DpsRegistrations: Counter "drawspan_dps_registrations" ["result"] "Finished registrations, by result: assigned, or the kind of failure";

    Events: Counter "drawspan_events" ["kind", "outcome"] "Events for receivers, by outcome: taken, refused, failed (all attempts failed), untried (no time left, or no longer wanted), skipped (replaced by a newer change of the connection), noRoom";
    EventsNoRoom: Counter "drawspan_events_no_room" ["reason"] "Events with outcome noRoom, by what was full: device (waiting events of one device and kind), receiver (its share of the memory), receivers (their number)";
    EventAttempts: Counter "drawspan_event_attempts" ["result"] "Attempts to deliver an event, by result: taken, refused, status (a status that is retried), timeout, unreachable";
    EventsWaiting: Gauge "drawspan_events_waiting" [] "Events that wait for delivery or are being delivered";
    EventBytes: Gauge "drawspan_events_waiting_bytes" [] "Memory used by these events";
    EventBytesMost: Gauge "drawspan_events_waiting_bytes_most" [] "Memory used by the events of the receiver that uses most of the 64 MB that all share: at most as much as is free, so half if only one receiver has events";
    EventAttemptsUnderWay: Gauge "drawspan_event_attempts_under_way" [] "Attempts to deliver an event in progress";
    ReceiversLeftAlone: Gauge "drawspan_receivers_left_alone" [] "Receivers to which deliveries are suspended after repeated failures, except for occasional attempts";
    MethodAnswersUnread: Counter "drawspan_method_answers_unread" ["reason"] "Unreadable answers of method receivers, by reason: malformed (the caller got 200 and nothing else), tooLarge (the caller got 500)";

    DeadLetters: Counter "drawspan_dead_letters" [] "Events that became dead letters";
    DeadLettersDropped: Counter "drawspan_dead_letters_dropped" [] "Dead letters dropped because there were too many newer ones";
    StoreLosses: Counter "drawspan_store_losses" ["what"] "Entries that could not be written to the state directory, or were found missing or altered at the start, by kind: hubs, deadLetters, desiredVersions, subscriptions, answers, changes (of any kind, lost in a failure of the machine)";
    StoreHealthy: Gauge "drawspan_store_healthy" [] "1 if the state directory can be read and written and its files are in place, else 0; absent without a state directory";

    ProcessCpu: Counter "process_cpu_seconds" [] "CPU time of the process";
    ProcessResident: Gauge "process_resident_memory_bytes" [] "Memory of the process that is in RAM (Linux)";
    ProcessVirtual: Gauge "process_virtual_memory_bytes" [] "Virtual memory of the process (Linux)";
    ProcessFiles: Gauge "process_open_fds" [] "Open files and sockets of the process (Linux)";
    ProcessFilesMax: Gauge "process_max_fds" [] "Limit of open files of the process";
    ProcessStart: Gauge "process_start_time_seconds" [] "Start time of the process, in seconds since 1970 (Linux)";
}

impl Metric {
    /// The kind of the metric.
    #[must_use]
    pub const fn kind(self) -> Kind {
        self.row().0
    }

    /// The name, without the suffix of its kind.
    #[must_use]
    pub const fn family(self) -> &'static str {
        self.row().1
    }

    /// The names of its labels.
    #[must_use]
    pub const fn labels(self) -> &'static [&'static str] {
        self.row().2
    }

    /// The meaning.
    #[must_use]
    pub const fn about(self) -> &'static str {
        self.row().3
    }

    /// The name used in queries.
    #[must_use]
    pub fn name(self) -> String {
        let family = self.family();
        match self.kind() {
            Kind::Counter => format!("{family}_total"),
            Kind::Info => format!("{family}_info"),
            Kind::Gauge | Kind::Histogram => family.to_owned(),
        }
    }
}

impl Kind {
    /// The word of OpenMetrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
            Self::Info => "info",
        }
    }
}
