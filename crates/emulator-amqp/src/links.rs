//! The kinds of links: a table from (address, direction) to link kind.

use drawspan_amqp::engine::LinkId;
use drawspan_amqp::performative::{Attach, Error, Role, condition};
use drawspan_hub::ErrorCode;
use drawspan_hub::address::{self, Address, DeviceFunction, Entity, EventHubPart, ServiceFunction};
use drawspan_hub_model::client_id::ClientId;

use super::device_session::{DeviceLink, Owner};
use super::error::refusal;
use super::events::Reader;
use super::locked_delivery::LockedDelivery;
use super::methods::MethodCalls;
use super::registration::RegistrationRequests;
use super::telemetry::TelemetryLink;
use super::twin::TwinAnswers;

/// A link as it was asked for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// Requests to `$cbs`.
    CbsRequests,
    /// Answers of `$cbs`.
    CbsAnswers,
    /// Requests to `$management`.
    ManagementRequests,
    /// Answers of `$management`.
    ManagementAnswers,
    /// A link of a device or a module.
    Client(ClientId, DeviceLink),
    /// Events of a partition.
    Events {
        entity: Entity,
        group: String,
        partition: u32,
    },
    /// The event endpoint, asked at the hub.
    Redirect,
    /// Messages of services to devices.
    ServiceSend,
    /// Feedback on them.
    Feedback,
    /// News of uploaded files.
    FileNotifications,
}

/// A link as it is served.
#[derive(Debug)]
pub(super) enum Link {
    CbsRequests,
    CbsAnswers,
    ManagementRequests,
    ManagementAnswers,
    Telemetry(Box<TelemetryLink>),
    MethodCalls(Box<MethodCalls>),
    MethodAnswers(Box<Owner>),
    TwinRequests(Box<Owner>),
    TwinAnswers(Box<TwinAnswers>),
    Events(Box<Reader>),
    LockedDelivery(Box<LockedDelivery>),
    ServiceSend,
    /// Requests of a device to DPS.
    RegistrationRequests(Box<RegistrationRequests>),
    /// Their answers.
    RegistrationAnswers,
}

impl Link {
    /// The device or module and its link, if it is one of these.
    pub(super) fn of_client(&self) -> Option<(DeviceLink, Owner)> {
        match self {
            Self::Telemetry(link) => Some((DeviceLink::Telemetry, link.owner())),
            Self::MethodCalls(link) => Some((DeviceLink::MethodCalls, link.owner.clone())),
            Self::MethodAnswers(owner) => Some((DeviceLink::MethodAnswers, (**owner).clone())),
            Self::TwinRequests(owner) => Some((DeviceLink::TwinRequests, (**owner).clone())),
            Self::TwinAnswers(link) => Some((DeviceLink::TwinAnswers, link.owner.clone())),
            Self::LockedDelivery(locked) => {
                let owner = locked.owner()?;
                Some((DeviceLink::Messages, owner.clone()))
            }
            Self::ServiceSend
            | Self::CbsRequests
            | Self::CbsAnswers
            | Self::ManagementRequests
            | Self::ManagementAnswers
            | Self::RegistrationRequests(_)
            | Self::RegistrationAnswers
            | Self::Events(_) => None,
        }
    }
}

/// Links by their slot, so that looking one up costs nothing.
#[derive(Debug, Default)]
pub(super) struct Links {
    slots: Vec<Option<(LinkId, Link)>>,
}

impl Links {
    pub(super) fn insert(&mut self, id: LinkId, link: Link) {
        if self.slots.len() <= id.slot() {
            self.slots.resize_with(id.slot() + 1, || None);
        }
        if let Some(slot) = self.slots.get_mut(id.slot()) {
            *slot = Some((id, link));
        }
    }

    pub(super) fn get_mut(&mut self, id: LinkId) -> Option<&mut Link> {
        let (of, link) = self.slots.get_mut(id.slot())?.as_mut()?;
        (*of == id).then_some(link)
    }

    pub(super) fn remove(&mut self, id: LinkId) -> Option<Link> {
        let slot = self.slots.get_mut(id.slot())?;
        match slot {
            Some((of, _)) if *of == id => slot.take().map(|(_, link)| link),
            _ => None,
        }
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (LinkId, &mut Link)> {
        self.slots
            .iter_mut()
            .flatten()
            .map(|(id, link)| (*id, link))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (LinkId, &Link)> {
        self.slots.iter().flatten().map(|(id, link)| (*id, link))
    }
}

/// Finds an attach in the table.
pub(super) fn wanted(attach: &Attach) -> Result<Wanted, Error> {
    let (address, to_hub) = match attach.role {
        Role::Sender => (
            attach
                .target
                .as_ref()
                .and_then(|target| target.address.as_deref()),
            true,
        ),
        Role::Receiver => (
            attach
                .source
                .as_ref()
                .and_then(|source| source.address.as_deref()),
            false,
        ),
    };
    let Some(text) = address else {
        return Err(not_found("the link has no address"));
    };
    let address = address::parse(text).map_err(|error| not_found(&error.to_string()))?;
    match (address, to_hub) {
        (Address::Cbs, true) => Ok(Wanted::CbsRequests),
        (Address::Cbs, false) => Ok(Wanted::CbsAnswers),
        (
            Address::EventHub {
                entity: Entity::BuiltIn,
                part: EventHubPart::Management,
            },
            _,
        ) => Ok(Wanted::Redirect),
        (
            Address::Management
            | Address::EventHub {
                part: EventHubPart::Management,
                ..
            },
            true,
        ) => Ok(Wanted::ManagementRequests),
        (
            Address::Management
            | Address::EventHub {
                part: EventHubPart::Management,
                ..
            },
            false,
        ) => Ok(Wanted::ManagementAnswers),
        (
            Address::Device {
                device,
                module,
                function,
            },
            to_hub,
        ) => {
            let kind = device_link(function, to_hub);
            let kind = match &module {
                Some(_) => of_module(function, kind)?,
                None => kind.ok_or_else(not_yet)?,
            };
            Ok(Wanted::Client(ClientId { device, module }, kind))
        }
        (
            Address::EventHub {
                entity,
                part: EventHubPart::Consumer { group, partition },
            },
            false,
        ) => Ok(Wanted::Events {
            entity,
            group,
            partition,
        }),
        (Address::Service(ServiceFunction::DeviceBound), true) => Ok(Wanted::ServiceSend),
        (Address::Service(ServiceFunction::Feedback), false) => Ok(Wanted::Feedback),
        (Address::Service(ServiceFunction::FileNotifications), false) => {
            Ok(Wanted::FileNotifications)
        }
        (Address::Service(_), _) => Err(not_yet()),
        (Address::EventHub { .. }, _) => Err(not_found(
            "the event endpoint can be read by partition only",
        )),
    }
}

fn device_link(function: DeviceFunction, to_hub: bool) -> Option<DeviceLink> {
    match (function, to_hub) {
        (DeviceFunction::Events, true) => Some(DeviceLink::Telemetry),
        (DeviceFunction::Methods, true) => Some(DeviceLink::MethodAnswers),
        (DeviceFunction::Methods, false) => Some(DeviceLink::MethodCalls),
        (DeviceFunction::DeviceBound, false) => Some(DeviceLink::Messages),
        (DeviceFunction::Twin, true) => Some(DeviceLink::TwinRequests),
        (DeviceFunction::Twin, false) => Some(DeviceLink::TwinAnswers),
        (DeviceFunction::Events, false) | (DeviceFunction::DeviceBound, true) => None,
    }
}

/// The link of a module; a hub serves fewer for modules than for devices.
fn of_module(function: DeviceFunction, kind: Option<DeviceLink>) -> Result<DeviceLink, Error> {
    let text = match (function, kind) {
        (DeviceFunction::DeviceBound, _) => "modules get no cloud-to-device messages",
        (_, Some(kind)) => return Ok(kind),
        (DeviceFunction::Events, None) => "the inputs of modules are served by IoT Edge alone",
        (DeviceFunction::Methods | DeviceFunction::Twin, None) => return Err(not_yet()),
    };
    let code = ErrorCode::AMQP_ADDRESS_NOT_FOUND;
    Err(refusal(condition::NOT_IMPLEMENTED, code, text))
}

/// The path that a token must cover for the link of a device or module.
pub(super) fn client_path(client: &ClientId, kind: DeviceLink) -> String {
    let rest = match kind {
        DeviceLink::Telemetry => "messages/events",
        DeviceLink::MethodCalls | DeviceLink::MethodAnswers => "methods/devicebound",
        DeviceLink::Messages => "messages/devicebound",
        DeviceLink::TwinRequests | DeviceLink::TwinAnswers => "twin",
    };
    format!("{}/{rest}", client.path())
}

/// The path that a token must cover, as Event Hubs clients and devices sign it.
pub(super) fn event_path(entity: &Entity, rest: &str) -> String {
    match entity {
        Entity::BuiltIn => format!("/messages/events{rest}"),
        Entity::Named(name) => format!("/{name}{rest}"),
    }
}

pub(super) fn not_found(text: &str) -> Error {
    refusal(
        condition::NOT_FOUND,
        ErrorCode::AMQP_ADDRESS_NOT_FOUND,
        text,
    )
}

fn not_yet() -> Error {
    let text = "the emulator does not serve this kind of link yet";
    refusal(
        condition::NOT_IMPLEMENTED,
        ErrorCode::AMQP_ADDRESS_NOT_FOUND,
        text,
    )
}
