//! Every metric: its name, what it is, its labels and what it means. The reference in `docs/operate.md` is written from this table.

/// What a metric is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Counts since the start of the process; its samples end in `_total`.
    Counter,
    /// What is the case now.
    Gauge,
    /// Durations in classes; its samples end in `_bucket`, `_sum` and `_count`.
    Histogram,
    /// Says something in its labels, and is always 1; its sample ends in `_info`.
    Info,
}

/// Declares the metrics: name without what its kind adds, labels, meaning.
macro_rules! metrics {
    ($($variant:ident: $kind:ident $name:literal [$($label:literal),*] $about:literal;)+) => {
        /// A metric. See the module.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Metric {
            $(#[doc = $about] $variant,)+
        }

        impl Metric {
            /// All of them, in the order of the page.
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
    HttpRequests: Counter "drawspan_http_requests" ["operation", "code"] "Requests answered, by operation of the API (as /openapi.json names it; none where no operation was reached) and HTTP status";
    MessageSeconds: Histogram "drawspan_message_duration_seconds" [] "From a message in full until its hub accepted it, with connecting, waiting and sending again; its _count is messages accepted";
    MessagesFailed: Counter "drawspan_messages_failed" ["reason"] "Messages that were understood and not accepted, by the last word of the problem's type";
    Resends: Counter "drawspan_resends" ["reason"] "Messages and requests about twins that were sent once more within their time: throttled or hubFailed, as the hub said; connectionLost";
    ResendsOutOfTime: Counter "drawspan_resends_out_of_time" ["reason"] "Those that were refused as throttled or hubFailed when too little of their time was left to send them once more";
    IdempotentReplays: Counter "drawspan_idempotency_replays" [] "Requests that were answered by what an earlier one with the same Idempotency-Key had come to";

    Devices: Gauge "drawspan_devices" ["state"] "Devices in memory, by what they do, in the words of their diagnostics";
    HubReachable: Gauge "drawspan_hub_reachable" ["hub", "service"] "1 if the hub, or DPS (service is hub or dps), could be reached when it was tried last, else 0";
    HubTakesCredentials: Gauge "drawspan_hub_credentials_accepted" ["hub", "service"] "0 while the hub, or DPS (service is hub or dps), refuses the credentials of many devices, or has refused some and accepted none since the start, else 1";
    HubQuotaLasts: Gauge "drawspan_hub_quota_lasts" ["hub", "service"] "0 while the hub's daily quota is used up: it refuses devices, or the messages of connected ones, else 1";
    HubConnections: Gauge "drawspan_hub_connections" ["hub"] "AMQP connections that stand or are being made";
    HubSlots: Gauge "drawspan_hub_token_slots" ["hub"] "Devices that these connections can hold";
    HubSlotsUsed: Gauge "drawspan_hub_token_slots_used" ["hub"] "Devices that the hub counts on them: connected ones, and with keys of their own those that left, until their tokens expire";
    HubQueue: Gauge "drawspan_hub_connect_queue" ["hub"] "Devices that wait for their turn to connect; attempts that were given up count for a while";
    HubConnectionsEnded: Counter "drawspan_hub_connections_ended" ["hub", "reason"] "AMQP connections that could not be made, or ended without having been asked to, by kind of failure";
    ConnectAttempts: Counter "drawspan_device_connect_attempts" ["hub"] "Attempts to connect a device";
    Connects: Counter "drawspan_device_connects" ["hub"] "Those that succeeded";
    ConnectFailures: Counter "drawspan_device_connect_failures" ["hub", "reason"] "Those that failed, by kind of failure, as lastFailure says it";
    Disconnects: Counter "drawspan_device_disconnects" ["hub", "reason"] "Connected devices that lost their connection, by kind of failure";

    DpsQueue: Gauge "drawspan_dps_queue" [] "Registrations that wait for their turn at DPS";
    DpsUnderWay: Gauge "drawspan_dps_registrations_under_way" [] "Registrations that DPS was asked for and has not answered";
    DpsRegistrations: Counter "drawspan_dps_registrations" ["result"] "Registrations that are over: assigned, or the kind of failure";

    Events: Counter "drawspan_events" ["kind", "outcome"] "Events for receivers: taken, refused, failed (tried in vain), untried (no time left, or not wanted any more), skipped (a newer change of the connection took its place), noRoom";
    EventsNoRoom: Counter "drawspan_events_no_room" ["reason"] "Those with outcome noRoom, by what was full: device (as many of its events of one kind wait as may), receiver (its share of the memory), receivers (there are too many of them)";
    EventAttempts: Counter "drawspan_event_attempts" ["result"] "Attempts to deliver one: taken, refused, status (one that may change), timeout, unreachable";
    EventsWaiting: Gauge "drawspan_events_waiting" [] "Events that wait for their delivery or are being delivered";
    EventBytes: Gauge "drawspan_events_waiting_bytes" [] "What they weigh";
    EventBytesMost: Gauge "drawspan_events_waiting_bytes_most" [] "What those of the receiver with most of them take of the 64 MB that all share: at most as much as is free, so half of it if only one has any";
    EventAttemptsUnderWay: Gauge "drawspan_event_attempts_under_way" [] "Attempts under way";
    ReceiversLeftAlone: Gauge "drawspan_receivers_left_alone" [] "Receivers that failed again and again, and are tried now and then only";
    MethodAnswersUnread: Counter "drawspan_method_answers_unread" ["reason"] "Answers of receivers of methods that could not be read: malformed (their callers got 200 and nothing else), tooLarge (they got 500)";

    DeadLetters: Counter "drawspan_dead_letters" [] "Events given to the dead letters";
    DeadLettersDropped: Counter "drawspan_dead_letters_dropped" [] "Dead letters that went because there were too many newer ones";
    StoreLosses: Counter "drawspan_store_losses" ["what"] "What could not be written to the state directory, or was found missing or changed in it at the start: hubs, deadLetters, desiredVersions, subscriptions, answers, changes (of any kind, that a failure of the machine took)";
    StoreHealthy: Gauge "drawspan_store_healthy" [] "Whether the state directory can be written and read, and its files are in their places; absent without one";

    ProcessCpu: Counter "process_cpu_seconds" [] "CPU time of the process";
    ProcessResident: Gauge "process_resident_memory_bytes" [] "Memory of the process that is in RAM (Linux)";
    ProcessVirtual: Gauge "process_virtual_memory_bytes" [] "Its address space (Linux)";
    ProcessFiles: Gauge "process_open_fds" [] "Files and sockets that it has open (Linux)";
    ProcessFilesMax: Gauge "process_max_fds" [] "How many it may have open";
    ProcessStart: Gauge "process_start_time_seconds" [] "When it began, in seconds since 1970 (Linux)";
}

impl Metric {
    /// What it is.
    #[must_use]
    pub const fn kind(self) -> Kind {
        self.row().0
    }

    /// Its name, without what its kind adds.
    #[must_use]
    pub const fn family(self) -> &'static str {
        self.row().1
    }

    /// What its labels are called.
    #[must_use]
    pub const fn labels(self) -> &'static [&'static str] {
        self.row().2
    }

    /// What it means.
    #[must_use]
    pub const fn about(self) -> &'static str {
        self.row().3
    }

    /// The name by which it is asked for.
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
