//! The meaning of AMQP link addresses.
//!
//! Clients spell addresses differently: with or without `amqps://host:5671`, with or without a leading slash, `deviceBound` or
//! `devicebound`, ids raw or percent-encoded. [`parse`] accepts all of them; `Display` writes the form of the Node client. The
//! table does not depend on the link's direction: the server decides which directions exist.
//!
//! | address | meaning |
//! |---|---|
//! | `/devices/{id}[/modules/{id}]/messages/events` | telemetry (to the hub), inputs (to a module) |
//! | `/devices/{id}[/modules/{id}]/messages/devicebound` | cloud-to-device messages |
//! | `/devices/{id}[/modules/{id}]/methods/devicebound` | direct methods |
//! | `/devices/{id}[/modules/{id}]/twin` | twin |
//! | `$cbs` | claims-based security |
//! | `$management` | management of the Event Hubs endpoint |
//! | `/messages/devicebound`, `/messages/servicebound/feedback`, `/messages/servicebound/filenotifications` | services |
//! | `messages/events[…]` | the built-in endpoint, asked at the hub |
//! | `{entity}[…]` | the built-in endpoint, asked by its Event Hubs name |
//!
//! where `[…]` is nothing, `/$management`, `/Partitions/{n}` or `/ConsumerGroups/{group}/Partitions/{n}`.

use std::fmt;

use thiserror::Error;

use crate::ids::{DeviceId, InvalidId, ModuleId};
use crate::limits::ADDRESS_MAX_CHARS;
use crate::percent_encoding::{decode, encode_component, split_authority};

/// The meaning of a link's source or target address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// `$cbs`.
    Cbs,
    /// `$management`, at a hub or an event endpoint.
    Management,
    /// A device or one of its modules.
    Device {
        /// The device.
        device: DeviceId,
        /// The module, unless the device itself is meant.
        module: Option<ModuleId>,
        /// The link of the device.
        function: DeviceFunction,
    },
    /// The service side of the hub.
    Service(ServiceFunction),
    /// The Event Hubs-compatible endpoint.
    EventHub {
        /// Under which name it is asked.
        entity: Entity,
        /// The part of the endpoint.
        part: EventHubPart,
    },
}

/// The links of a device or module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceFunction {
    /// Telemetry to the hub; the inputs of a module in the other direction.
    Events,
    /// Cloud-to-device messages.
    DeviceBound,
    /// Direct methods: requests one way, answers the other.
    Methods,
    /// Twin: requests one way, answers and notifications the other.
    Twin,
}

/// The links of services.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServiceFunction {
    /// Cloud-to-device messages; the device stands in the message's `to`.
    DeviceBound,
    /// Feedback on cloud-to-device messages.
    Feedback,
    /// File upload notifications.
    FileNotifications,
}

/// The names of the Event Hubs-compatible endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entity {
    /// `messages/events` at the hub, which redirects.
    BuiltIn,
    /// Its Event Hubs name; compares without case.
    Named(String),
}

/// A part of the Event Hubs-compatible endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EventHubPart {
    /// The whole: senders.
    Root,
    /// `$management`.
    Management,
    /// One partition without consumer group: senders.
    Partition(u32),
    /// One partition as a consumer group reads it.
    Consumer {
        /// The group, as written; compares without case.
        group: String,
        /// The partition.
        partition: u32,
    },
}

/// Why an address means nothing.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum UnknownAddress {
    /// Longer than any address.
    #[error("the address has {length} characters, at most {ADDRESS_MAX_CHARS} are allowed")]
    TooLong {
        /// Length found.
        length: usize,
    },
    /// Percent-encoding that does not give UTF-8.
    #[error("segment {number} of the address is not text")]
    NotText {
        /// The segment, from 1.
        number: usize,
    },
    /// The device or module id is invalid.
    #[error("the address has an {0}")]
    Id(#[from] InvalidId),
    /// A partition that is no number.
    #[error("the address has a partition that is no number")]
    Partition,
    /// The address is not in the table.
    #[error("IoT Hub has no such address")]
    NoSuchPath,
}

impl Address {
    /// An address of a device itself.
    #[must_use]
    pub fn device(device: &DeviceId, function: DeviceFunction) -> Self {
        Self::Device {
            device: device.clone(),
            module: None,
            function,
        }
    }
}

/// The address for a device's telemetry, as the Node client writes it.
#[must_use]
pub fn telemetry(device: &DeviceId) -> String {
    Address::device(device, DeviceFunction::Events).to_string()
}

/// Reads an address in any client's spelling.
pub fn parse(address: &str) -> Result<Address, UnknownAddress> {
    if address.len() > ADDRESS_MAX_CHARS {
        return Err(UnknownAddress::TooLong {
            length: address.len(),
        });
    }
    let (_, path) = split_authority(address);
    let path = path.strip_prefix('/').unwrap_or(path);
    let path = path.strip_suffix('/').unwrap_or(path);
    let segments = path
        .split('/')
        .enumerate()
        .map(|(index, segment)| {
            let number = index + 1;
            let text = decode(segment).ok_or(UnknownAddress::NotText { number })?;
            Ok(text.into_owned())
        })
        .collect::<Result<Vec<String>, UnknownAddress>>()?;
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    match segments.as_slice() {
        [only] if is(only, "$cbs") => Ok(Address::Cbs),
        [only] if is(only, "$management") => Ok(Address::Management),
        [first, device, rest @ ..] if is(first, "devices") => parse_device(device, rest),
        [only] if is(only, "devices") => Err(UnknownAddress::NoSuchPath),
        [first, rest @ ..] if is(first, "messages") => parse_messages(rest),
        [name, rest @ ..] if !name.is_empty() && !name.starts_with('$') => {
            parse_event_hub(Entity::Named((*name).to_owned()), rest)
        }
        _ => Err(UnknownAddress::NoSuchPath),
    }
}

/// Reads the address of a device's links at DPS, `/{id scope}/registrations/{registration id}`: its id scope and registration.
#[must_use]
pub fn parse_registration(address: &str) -> Option<(String, String)> {
    if address.len() > ADDRESS_MAX_CHARS {
        return None;
    }
    let (_, path) = split_authority(address);
    let mut segments = path.strip_prefix('/').unwrap_or(path).split('/');
    let mut next = || decode(segments.next()?);
    let (id_scope, literal, registration) = (next()?, next()?, next()?);
    let is_whole = segments.next().is_none() && !id_scope.is_empty() && !registration.is_empty();
    (is_whole && is(&literal, "registrations"))
        .then(|| (id_scope.into_owned(), registration.into_owned()))
}

fn parse_device(device: &str, rest: &[&str]) -> Result<Address, UnknownAddress> {
    let (module, rest) = match rest {
        [literal, module, rest @ ..] if is(literal, "modules") => (Some(*module), rest),
        _ => (None, rest),
    };
    let function = match rest {
        [a, b] if is(a, "messages") && is(b, "events") => DeviceFunction::Events,
        [a, b] if is(a, "messages") && is(b, "devicebound") => DeviceFunction::DeviceBound,
        [a, b] if is(a, "methods") && is(b, "devicebound") => DeviceFunction::Methods,
        [a] if is(a, "twin") => DeviceFunction::Twin,
        _ => return Err(UnknownAddress::NoSuchPath),
    };
    Ok(Address::Device {
        device: DeviceId::parse(device)?,
        module: module.map(ModuleId::parse).transpose()?,
        function,
    })
}

fn parse_messages(rest: &[&str]) -> Result<Address, UnknownAddress> {
    match rest {
        [a] if is(a, "devicebound") => Ok(Address::Service(ServiceFunction::DeviceBound)),
        [a, b] if is(a, "servicebound") && is(b, "feedback") => {
            Ok(Address::Service(ServiceFunction::Feedback))
        }
        [a, b] if is(a, "servicebound") && is(b, "filenotifications") => {
            Ok(Address::Service(ServiceFunction::FileNotifications))
        }
        [a, rest @ ..] if is(a, "events") => parse_event_hub(Entity::BuiltIn, rest),
        _ => Err(UnknownAddress::NoSuchPath),
    }
}

fn parse_event_hub(entity: Entity, rest: &[&str]) -> Result<Address, UnknownAddress> {
    let part = match rest {
        [] => EventHubPart::Root,
        [a] if is(a, "$management") => EventHubPart::Management,
        [a, number] if is(a, "partitions") => EventHubPart::Partition(partition(number)?),
        [a, group, b, number]
            if is(a, "consumergroups") && is(b, "partitions") && !group.is_empty() =>
        {
            EventHubPart::Consumer {
                group: (*group).to_owned(),
                partition: partition(number)?,
            }
        }
        _ => return Err(UnknownAddress::NoSuchPath),
    };
    Ok(Address::EventHub { entity, part })
}

fn partition(text: &str) -> Result<u32, UnknownAddress> {
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(UnknownAddress::Partition);
    }
    text.parse().map_err(|_| UnknownAddress::Partition)
}

fn is(segment: &str, literal: &str) -> bool {
    segment.eq_ignore_ascii_case(literal)
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cbs => f.write_str("$cbs"),
            Self::Management => f.write_str("$management"),
            Self::Device {
                device,
                module,
                function,
            } => {
                write!(f, "/devices/{}", encode_component(device.as_str()))?;
                if let Some(module) = module {
                    write!(f, "/modules/{}", encode_component(module.as_str()))?;
                }
                f.write_str(function.path())
            }
            Self::Service(function) => f.write_str(function.path()),
            Self::EventHub { entity, part } => write!(f, "{entity}{part}"),
        }
    }
}

impl DeviceFunction {
    const fn path(self) -> &'static str {
        match self {
            Self::Events => "/messages/events",
            Self::DeviceBound => "/messages/devicebound",
            Self::Methods => "/methods/devicebound",
            Self::Twin => "/twin",
        }
    }
}

impl ServiceFunction {
    const fn path(self) -> &'static str {
        match self {
            Self::DeviceBound => "/messages/devicebound",
            Self::Feedback => "/messages/serviceBound/feedback",
            Self::FileNotifications => "/messages/serviceBound/filenotifications",
        }
    }
}

impl fmt::Display for Entity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BuiltIn => f.write_str("messages/events"),
            Self::Named(name) => f.write_str(&encode_component(name)),
        }
    }
}

impl fmt::Display for EventHubPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => Ok(()),
            Self::Management => f.write_str("/$management"),
            Self::Partition(partition) => write!(f, "/Partitions/{partition}"),
            Self::Consumer { group, partition } => {
                // `$Default` stays readable; nothing else of a legal group name needs encoding.
                let group = encode_component(group).replace("%24", "$");
                write!(f, "/ConsumerGroups/{group}/Partitions/{partition}")
            }
        }
    }
}

#[cfg(test)]
mod tests;
