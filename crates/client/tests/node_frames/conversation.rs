//! A client's side of a conversation: the frames that are compared.

use bytes::{Bytes, BytesMut};
use drawspan_amqp::frame::{AMQP_HEADER, decode_performative, split_frame};
use drawspan_amqp::message::Message;
use drawspan_amqp::performative::{Attach, DeliveryState, Performative, Role};
use drawspan_hub::DeviceId;
use drawspan_hub::address::{self, Address, DeviceFunction};

use crate::fields::{self, Fields};

/// What a client sent over one connection, in order.
pub(crate) struct Conversation(Vec<Sent>);

struct Sent {
    channel: u16,
    performative: Performative,
    /// The performative as it was encoded, and what followed it.
    encoded: (Bytes, Bytes),
}

/// The content of a frame, regardless of handles and names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum About {
    Cbs(Role),
    Device(DeviceFunction, Role),
}

impl Conversation {
    /// The lines of the client behind `connection` in a recording.
    pub(crate) fn recorded(recording: &str, connection: &str) -> Self {
        let lines = recording
            .lines()
            .skip_while(|line| *line != connection)
            .skip(1);
        let bytes: Vec<u8> = lines
            .take_while(|line| !line.starts_with('#'))
            .filter_map(|line| line.strip_prefix("client "))
            .flat_map(from_hex)
            .collect();
        Self::of_bytes(&bytes)
    }

    /// Everything that a client without SASL wrote.
    pub(crate) fn of_bytes(bytes: &[u8]) -> Self {
        let mut rest = BytesMut::from(bytes.strip_prefix(&AMQP_HEADER).unwrap());
        let mut sent = Vec::new();
        while let Some(frame) = split_frame(&mut rest, u32::MAX).unwrap() {
            let Some(performative) = decode_performative(frame.body.clone()).unwrap() else {
                continue;
            };
            let payload_bytes = match &performative {
                Performative::Transfer(transfer) => transfer.payload.len(),
                _ => 0,
            };
            let payload_at = frame.body.len() - payload_bytes;
            let encoded = (
                frame.body.slice(..payload_at),
                frame.body.slice(payload_at..),
            );
            sent.push(Sent {
                channel: frame.channel,
                performative,
                encoded,
            });
        }
        assert!(rest.is_empty(), "{} bytes are no frame", rest.len());
        Self(sent)
    }

    /// The hub that the client opened the connection to.
    pub(crate) fn host(&self) -> String {
        let host = self.0.iter().find_map(|sent| match &sent.performative {
            Performative::Open(open) => open.hostname.clone(),
            _ => None,
        });
        host.unwrap()
    }

    /// The device of the first link that is one's.
    pub(crate) fn device(&self) -> DeviceId {
        let device =
            self.attaches()
                .find_map(|(_, attach)| match address::parse(address_of(attach)?) {
                    Ok(Address::Device { device, .. }) => Some(device),
                    _ => None,
                });
        device.unwrap()
    }

    /// The first message over a link for which `wanted` holds.
    pub(crate) fn message(&self, about: About, wanted: impl Fn(&Message) -> bool) -> Message {
        Message::decode(&self.sent(about, wanted).encoded.1).unwrap()
    }

    /// The fields of that message and its transfer.
    pub(crate) fn transfer(&self, about: About, wanted: impl Fn(&Message) -> bool) -> Fields {
        let sent = self.sent(about, wanted);
        fields::of_frame(&sent.encoded.0, &sent.encoded.1)
    }

    pub(crate) fn attach(&self, about: About) -> Fields {
        let (sent, _) = self
            .attaches()
            .find(|(_, attach)| about_of(attach) == Some(about))
            .unwrap();
        fields::of_frame(&sent.encoded.0, &sent.encoded.1)
    }

    /// The last disposition with this state.
    pub(crate) fn disposition(&self, state: &DeliveryState) -> Fields {
        let told = self.0.iter().rev().find(|sent| match &sent.performative {
            Performative::Disposition(told) => told.state.as_ref() == Some(state),
            _ => false,
        });
        let told = told.unwrap();
        fields::of_frame(&told.encoded.0, &told.encoded.1)
    }

    fn sent(&self, about: About, wanted: impl Fn(&Message) -> bool) -> &Sent {
        let wanted = |sent: &&Sent| wanted(&Message::decode(&sent.encoded.1).unwrap());
        self.transfers(about).find(wanted).unwrap()
    }

    fn attaches(&self) -> impl Iterator<Item = (&Sent, &Attach)> {
        self.0.iter().filter_map(|sent| match &sent.performative {
            Performative::Attach(attach) => Some((sent, &**attach)),
            _ => None,
        })
    }

    /// The transfers of a link, each of which is a whole message here.
    fn transfers(&self, about: About) -> impl Iterator<Item = &Sent> {
        let (link, attach) = self
            .attaches()
            .find(|(_, attach)| about_of(attach) == Some(about))
            .unwrap();
        self.0.iter().filter(move |sent| match &sent.performative {
            Performative::Transfer(transfer) => {
                sent.channel == link.channel && transfer.handle == attach.handle
            }
            _ => false,
        })
    }
}

fn about_of(attach: &Attach) -> Option<About> {
    match address::parse(address_of(attach)?).ok()? {
        Address::Cbs => Some(About::Cbs(attach.role)),
        Address::Device { function, .. } => Some(About::Device(function, attach.role)),
        _ => None,
    }
}

fn address_of(attach: &Attach) -> Option<&str> {
    match attach.role {
        Role::Sender => attach.target.as_ref()?.address.as_deref(),
        Role::Receiver => attach.source.as_ref()?.address.as_deref(),
    }
}

fn from_hex(hex: &str) -> Vec<u8> {
    let digit = |digit: u8| {
        char::from(digit)
            .to_digit(16)
            .unwrap_or_else(|| panic!("cut: {hex}"))
    };
    hex.as_bytes()
        .chunks(2)
        .map(|pair| u8::try_from(digit(pair[0]) * 16 + digit(pair[1])).unwrap())
        .collect()
}
