//! What a topic of IoT Hub or DPS means.
//!
//! Sources: Microsoft's articles "Communicate with an IoT hub using the MQTT protocol" and "Communicate with your DPS using the MQTT
//! protocol", and what the official clients send.

use percent_encoding::percent_decode_str;

/// What a client publishes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Topic<'t> {
    /// A message of a device or module to the hub.
    Telemetry {
        /// Who sends it.
        sender: Sender<'t>,
        /// Its properties, as [`property_bag`](crate::property_bag) reads them.
        bag: &'t str,
    },
    /// The answer to a method call.
    MethodAnswer {
        /// The device's status.
        status: i32,
        /// The call.
        request_id: &'t str,
    },
    /// A request for the twin.
    TwinGet {
        /// Names the request in its answer.
        request_id: &'t str,
    },
    /// A change of the reported properties.
    TwinReport {
        /// Names the request in its answer.
        request_id: &'t str,
        /// The version that the reported properties must have, as it is written.
        version: Option<&'t str>,
    },
    /// A registration at DPS.
    Register {
        /// Names the request in its answer.
        request_id: &'t str,
    },
    /// What has become of a registration at DPS.
    OperationStatus {
        /// Names the request in its answer.
        request_id: &'t str,
        /// The registration's operation.
        operation: &'t str,
    },
}

/// A device, or a module of it, as a topic names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sender<'t> {
    device: &'t str,
    module: Option<&'t str>,
}

/// What a client subscribes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Filter<'t> {
    /// Cloud-to-device messages.
    Messages(Addressee<'t>),
    /// Messages to the inputs of a module.
    Inputs,
    /// Method calls.
    Methods,
    /// Answers to requests about the twin.
    TwinAnswers,
    /// Changes of desired properties.
    Desired,
    /// Answers of DPS.
    RegistrationAnswers,
}

/// For whom messages are that a client subscribes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Addressee<'t> {
    /// `+`, which stands for the client itself.
    Any,
    /// This device.
    Device(&'t str),
}

impl Sender<'_> {
    /// Whether the topic names this device, or this module of it, percent-encoded or not.
    #[must_use]
    pub fn is(&self, device: &str, module: Option<&str>) -> bool {
        let is_module = match (self.module, module) {
            (Some(named), Some(id)) => is_id(named, id),
            (None, None) => true,
            _ => false,
        };
        is_module && is_id(self.device, device)
    }
}

impl Addressee<'_> {
    /// Whether the filter covers the messages of this device.
    #[must_use]
    pub fn covers(&self, id: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Device(named) => is_id(named, id),
        }
    }
}

impl<'t> Topic<'t> {
    /// What a client publishes to this topic; `None` if the service knows no such topic.
    #[must_use]
    pub fn parse(topic: &'t str) -> Option<Self> {
        if let Some(rest) = topic.strip_prefix("$iothub/") {
            return hub_request(rest);
        }
        if let Some(rest) = topic.strip_prefix("$dps/registrations/") {
            return dps_request(rest);
        }
        let rest = topic.strip_prefix("devices/")?;
        let (device, rest) = rest.split_once('/')?;
        let (module, rest) = match rest.strip_prefix("modules/") {
            Some(rest) => {
                let (module, rest) = rest.split_once('/')?;
                (Some(module), rest)
            }
            None => (None, rest),
        };
        let bag = rest.strip_prefix("messages/events")?;
        let bag = match bag {
            "" => "",
            bag => bag.strip_prefix('/')?,
        };
        let sender = Sender { device, module };
        // The C# client ends the topic with a slash.
        let bag = bag.strip_suffix('/').unwrap_or(bag);
        (!device.is_empty()).then_some(Self::Telemetry { sender, bag })
    }
}

impl<'t> Filter<'t> {
    /// What a client subscribes to by this filter; `None` if the service sends nothing there.
    #[must_use]
    pub fn parse(filter: &'t str) -> Option<Self> {
        Some(match filter {
            "$iothub/methods/POST/#" => Self::Methods,
            "$iothub/twin/res/#" => Self::TwinAnswers,
            "$iothub/twin/PATCH/properties/desired/#" => Self::Desired,
            "$dps/registrations/res/#" => Self::RegistrationAnswers,
            filter => {
                let rest = filter.strip_prefix("devices/")?;
                let (device, rest) = rest.split_once('/')?;
                let addressee = match device {
                    "+" => Addressee::Any,
                    "" | "#" => return None,
                    device => Addressee::Device(device),
                };
                match rest {
                    // Both spellings are in use.
                    "messages/devicebound/#" | "messages/deviceBound/#" => {
                        Self::Messages(addressee)
                    }
                    _ => {
                        let (module, rest) = rest.strip_prefix("modules/")?.split_once('/')?;
                        let inputs = rest == "#" || rest == "inputs/#";
                        return (inputs && !module.is_empty()).then_some(Self::Inputs);
                    }
                }
            }
        })
    }
}

fn hub_request(rest: &str) -> Option<Topic<'_>> {
    if let Some(rest) = rest.strip_prefix("methods/res/") {
        let (status, query) = rest.split_once('/')?;
        return Some(Topic::MethodAnswer {
            status: status.parse().ok()?,
            request_id: value(query, "$rid")?,
        });
    }
    if let Some(query) = rest.strip_prefix("twin/GET/") {
        let request_id = value(query, "$rid")?;
        return Some(Topic::TwinGet { request_id });
    }
    let query = rest.strip_prefix("twin/PATCH/properties/reported/")?;
    Some(Topic::TwinReport {
        request_id: value(query, "$rid")?,
        version: value(query, "$version"),
    })
}

fn dps_request(rest: &str) -> Option<Topic<'_>> {
    if let Some(query) = rest.strip_prefix("PUT/iotdps-register/") {
        let request_id = value(query, "$rid")?;
        return Some(Topic::Register { request_id });
    }
    let query = rest.strip_prefix("GET/iotdps-get-operationstatus/")?;
    Some(Topic::OperationStatus {
        request_id: value(query, "$rid")?,
        operation: value(query, "operationId")?,
    })
}

/// The value of a parameter in `?name=value&…`.
fn value<'q>(query: &'q str, name: &str) -> Option<&'q str> {
    let parameters = query.strip_prefix('?')?.split('&');
    let mut pairs = parameters.filter_map(|parameter| parameter.split_once('='));
    pairs.find(|(of, _)| *of == name).map(|(_, value)| value)
}

fn is_id(named: &str, id: &str) -> bool {
    named == id
        || percent_decode_str(named)
            .decode_utf8()
            .is_ok_and(|named| named == id)
}

/// What of IoT Hub a topic or filter belongs to that no part of this crate knows, by its name.
pub fn unknown_feature(topic: &str) -> Option<&'static str> {
    const FEATURES: [(&str, &str); 4] = [
        ("$iothub/streams/", "device streams"),
        ("$iothub/credentials/", "certificates issued by the hub"),
        ("$iothub/commands/", "commands of the MQTT 5 interface"),
        ("$az/", "the MQTT 5 interface"),
    ];
    let found = FEATURES
        .iter()
        .find(|(prefix, _)| topic.starts_with(prefix));
    found.map(|(_, name)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn features_that_are_not_served_have_names() {
        assert_eq!(
            unknown_feature("$iothub/streams/POST/#"),
            Some("device streams")
        );
        assert_eq!(unknown_feature("$iothub/twin/res/#"), None);
    }

    #[test]
    fn topics_of_all_official_clients_are_read() {
        let telemetry = |bag| {
            let sender = Sender {
                device: "d",
                module: None,
            };
            Some(Topic::Telemetry { sender, bag })
        };
        let check = |topic, expected| assert_eq!(Topic::parse(topic), expected, "{topic}");
        check("devices/d/messages/events", telemetry(""));
        check("devices/d/messages/events/", telemetry(""));
        check("devices/d/messages/events/a=b&c=d", telemetry("a=b&c=d"));
        check("devices/d/messages/events/a=b/", telemetry("a=b"));
        check("devices/d/messages/eventsource", None);
        check("devices//messages/events/", None);
        check("devices/d/messages/devicebound/", None);
        check("telemetry", None);
        check(
            "$iothub/twin/GET/?$rid=7",
            Some(Topic::TwinGet { request_id: "7" }),
        );
        check("$iothub/twin/GET/", None);
        check(
            "$iothub/twin/PATCH/properties/reported/?$rid=a-b&$version=3",
            Some(Topic::TwinReport {
                request_id: "a-b",
                version: Some("3"),
            }),
        );
        check("$iothub/twin/PATCH/properties/desired/?$rid=1", None);
        check(
            "$iothub/methods/res/-1/?$rid=1a",
            Some(Topic::MethodAnswer {
                status: -1,
                request_id: "1a",
            }),
        );
        check("$iothub/methods/res/ok/?$rid=1", None);
        check(
            "$dps/registrations/GET/iotdps-get-operationstatus/?$rid=2&operationId=4.x",
            Some(Topic::OperationStatus {
                request_id: "2",
                operation: "4.x",
            }),
        );
    }

    #[test]
    fn filters_stand_for_one_kind_of_message_each() {
        let check = |filter, expected| assert_eq!(Filter::parse(filter), expected, "{filter}");
        check(
            "devices/d/messages/devicebound/#",
            Some(Filter::Messages(Addressee::Device("d"))),
        );
        check(
            "devices/+/messages/devicebound/#",
            Some(Filter::Messages(Addressee::Any)),
        );
        check("devices/d/modules/m/inputs/#", Some(Filter::Inputs));
        check("devices/d/modules/m/#", Some(Filter::Inputs));
        check("$iothub/methods/POST/#", Some(Filter::Methods));
        for foreign in [
            "#",
            "devices/#",
            "$iothub/#",
            "devices/d/messages/events/#",
            "",
        ] {
            check(foreign, None);
        }
    }

    #[test]
    fn an_id_may_be_percent_encoded() {
        assert!(Addressee::Device("a%25b").covers("a%b"));
        assert!(Addressee::Device("a%b").covers("a%b"));
        assert!(!Addressee::Device("a").covers("b"));
    }

    #[test]
    fn a_module_sends_to_its_own_topic() {
        let sender = |topic| match Topic::parse(topic) {
            Some(Topic::Telemetry { sender, bag: "a=b" }) => sender,
            other => panic!("{topic}: {other:?}"),
        };
        let module = sender("devices/d%25/modules/m%25/messages/events/a=b");
        assert!(module.is("d%", Some("m%")));
        assert!(
            !module.is("d%", None) && !module.is("d%", Some("n")) && !module.is("d", Some("m%"))
        );
        let device = sender("devices/d/messages/events/a=b");
        assert!(device.is("d", None) && !device.is("d", Some("m")));
    }
}
