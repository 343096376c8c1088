//! A client's side of a conversation: the frames that are compared.

use bytes::{Bytes, BytesMut};
use drawspan_amqp::frame::{AMQP_HEADER, decode_performative, split_frame};
use drawspan_amqp::message::Message;
use drawspan_amqp::performative::{Attach, Performative, Role};
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

/// What a frame is about, whatever handles and names say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum About {
    CbsSender,
    CbsReceiver,
    TelemetrySender,
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

    /// The device whose telemetry link was attached.
    pub(crate) fn device(&self) -> DeviceId {
        let device = self.attaches().find_map(|(_, attach)| {
            match address::parse(attach.target.as_ref()?.address.as_deref()?) {
                Ok(Address::Device { device, .. }) => Some(device),
                _ => None,
            }
        });
        device.unwrap()
    }

    /// The first telemetry message.
    pub(crate) fn telemetry(&self) -> Message {
        let sent = self.transfers(About::TelemetrySender).next().unwrap();
        Message::decode(&sent.encoded.1).unwrap()
    }

    /// The same frames of both clients, named. The last one is called `telemetry`.
    pub(crate) fn side_by_side<'a>(
        &self,
        ours: &Self,
        telemetry: &'a str,
    ) -> [(&'a str, Fields, Fields); 5] {
        let attach = |name, about| (name, self.attach(about), ours.attach(about));
        let transfer = |name, about| (name, self.transfer(about), ours.transfer(about));
        [
            attach("attach of the $cbs sender", About::CbsSender),
            attach("attach of the $cbs receiver", About::CbsReceiver),
            attach("attach of the telemetry sender", About::TelemetrySender),
            transfer("put-token", About::CbsSender),
            transfer(telemetry, About::TelemetrySender),
        ]
    }

    fn attach(&self, about: About) -> Fields {
        let (sent, _) = self
            .attaches()
            .find(|(_, attach)| about_of(attach) == Some(about))
            .unwrap();
        fields::of_frame(&sent.encoded.0, &sent.encoded.1)
    }

    fn transfer(&self, about: About) -> Fields {
        let sent = self.transfers(about).next().unwrap();
        fields::of_frame(&sent.encoded.0, &sent.encoded.1)
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
    let address = match attach.role {
        Role::Sender => attach.target.as_ref()?.address.as_deref()?,
        Role::Receiver => attach.source.as_ref()?.address.as_deref()?,
    };
    match (address::parse(address).ok()?, attach.role) {
        (Address::Cbs, Role::Sender) => Some(About::CbsSender),
        (Address::Cbs, Role::Receiver) => Some(About::CbsReceiver),
        (
            Address::Device {
                function: DeviceFunction::Events,
                ..
            },
            Role::Sender,
        ) => Some(About::TelemetrySender),
        _ => None,
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
