//! The table of operations: id, method and path of each.
//!
//! Both the router and the API's description are made from this table, so that neither has an operation that the other lacks.

use axum::http::Method;
use axum::routing::MethodFilter;

use super::path::needs_key;

/// Declares the operations. The path is the documented one; literals are taken in any case.
macro_rules! operations {
    ($($name:ident: $method:ident $path:literal;)+) => {
        /// An operation of the API. The ids of the original's are the original's.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(super) enum Operation {
            $($name,)+
        }

        impl Operation {
            /// All operations.
            pub(super) const ALL: &[Self] = &[$(Self::$name,)+];

            /// The name that generated clients know it by.
            pub(super) const fn id(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)+
                }
            }

            /// Its method.
            pub(super) const fn method(self) -> Method {
                match self {
                    $(Self::$name => Method::$method,)+
                }
            }

            /// The same for the router. Who may `GET` may also ask for the head alone.
            pub(super) const fn filter(self) -> MethodFilter {
                match self {
                    $(Self::$name => MethodFilter::$method,)+
                }
            }

            /// Its path, as it is documented.
            pub(super) const fn path(self) -> &'static str {
                match self {
                    $(Self::$name => $path,)+
                }
            }
        }
    };
}

operations! {
    SendMessage: POST "/devices/{deviceId}/messages/events";
    SendMessages: POST "/messages/events";
    GetTwin: GET "/devices/{deviceId}/twin";
    UpdateReportedProperties: PATCH "/devices/{deviceId}/twin/properties/reported";
    GetDesiredPropertiesSubscription: GET "/devices/{deviceId}/twin/properties/desired/sub";
    CreateOrUpdateDesiredPropertiesSubscription: PUT "/devices/{deviceId}/twin/properties/desired/sub";
    DeleteDesiredPropertiesSubscription: DELETE "/devices/{deviceId}/twin/properties/desired/sub";
    GetMethodsSubscription: GET "/devices/{deviceId}/methods/sub";
    CreateOrUpdateMethodsSubscription: PUT "/devices/{deviceId}/methods/sub";
    DeleteMethodsSubscription: DELETE "/devices/{deviceId}/methods/sub";
    GetC2DMessageSubscription: GET "/devices/{deviceId}/deviceBound/sub";
    CreateOrUpdateC2DMessageSubscription: PUT "/devices/{deviceId}/deviceBound/sub";
    DeleteC2DMessageSubscription: DELETE "/devices/{deviceId}/deviceBound/sub";
    GetConnectionStatusSubscription: GET "/devices/{deviceId}/connectionStatus/sub";
    CreateOrUpdateConnectionStatusSubscription: PUT "/devices/{deviceId}/connectionStatus/sub";
    DeleteConnectionStatusSubscription: DELETE "/devices/{deviceId}/connectionStatus/sub";
    ListFleetSubscriptions: GET "/subscriptions";
    GetFleetSubscription: GET "/subscriptions/{subscriptionType}";
    CreateOrUpdateFleetSubscription: PUT "/subscriptions/{subscriptionType}";
    DeleteFleetSubscription: DELETE "/subscriptions/{subscriptionType}";
    ReceiveMessage: GET "/devices/{deviceId}/messages/deviceBound";
    CompleteMessage: POST "/devices/{deviceId}/messages/deviceBound/{lockToken}/complete";
    AbandonMessage: POST "/devices/{deviceId}/messages/deviceBound/{lockToken}/abandon";
    RejectMessage: POST "/devices/{deviceId}/messages/deviceBound/{lockToken}/reject";
    ListDeadLetters: GET "/deadLetters";
    ReplayDeadLetter: POST "/deadLetters/{deadLetterId}/replay";
    DeleteDeadLetter: DELETE "/deadLetters/{deadLetterId}";
    ListDevices: GET "/devices";
    GetUsage: GET "/usage";
    Register: POST "/devices/{deviceId}/registration";
    GetCurrentConnectionStatus: GET "/devices/{deviceId}/connectionStatus";
    StreamConnectionStatus: GET "/connectionStatus/stream";
    Resync: POST "/devices/{deviceId}/resync";
    GetDiagnostics: GET "/devices/{deviceId}/diagnostics";
    DeleteDevice: DELETE "/devices/{deviceId}";
    GetHealth: GET "/health";
    GetLiveness: GET "/livez";
    GetReadiness: GET "/readyz";
    GetMetrics: GET "/metrics";
}

impl Operation {
    /// The path as the router knows it: requests come with literals in lower case.
    pub(super) fn route(self) -> String {
        let lowered = |segment: &str| match segment.starts_with('{') {
            true => segment.to_owned(),
            false => segment.to_ascii_lowercase(),
        };
        let segments: Vec<_> = self.path().split('/').map(lowered).collect();
        segments.join("/")
    }

    /// Whether an API key is asked for.
    pub(super) fn needs_key(self) -> bool {
        needs_key(self.path())
    }

    /// The parameters in its path, in their order.
    pub(super) fn path_parameters(self) -> impl Iterator<Item = &'static str> {
        let inner = |segment: &'static str| segment.strip_prefix('{')?.strip_suffix('}');
        self.path().split('/').filter_map(inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn no_two_are_the_same() {
        let routes: HashSet<_> = Operation::ALL
            .iter()
            .map(|operation| (operation.method(), operation.route()))
            .collect();
        assert_eq!(routes.len(), Operation::ALL.len());
    }

    #[test]
    fn routes_keep_the_names_of_parameters() {
        let check = |operation: Operation, route: &str, parameters: &[&str]| {
            assert_eq!(operation.route(), route);
            assert_eq!(operation.path_parameters().collect::<Vec<_>>(), parameters);
        };
        check(Operation::ListDeadLetters, "/deadletters", &[]);
        check(
            Operation::CompleteMessage,
            "/devices/{deviceId}/messages/devicebound/{lockToken}/complete",
            &["deviceId", "lockToken"],
        );
    }
}
