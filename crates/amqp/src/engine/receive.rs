//! Receiving messages: reassembling frames within the link's limits (specification 2.7.5).

use bytes::{Bytes, BytesMut};

use super::connection::Connection;
use super::event::{DeliveryId, Event};
use super::link::{Partial, unattached};
use crate::performative::{DeliveryTag, Error, Role, Transfer, condition};

impl Connection {
    pub(super) fn on_transfer(&mut self, session: u32, transfer: Transfer) {
        let Some(found) = self.sessions.get_mut(session) else {
            return;
        };
        if let Err(error) = found.count_incoming() {
            return self.end_session(session, Some(error));
        }
        let Some(index) = found.link_of_peer(transfer.handle) else {
            return self.end_session(session, Some(unattached(transfer.handle)));
        };
        let Some(link) = self.links.get(index) else {
            return;
        };
        if link.role != Role::Receiver {
            let error = Error::new(
                condition::NOT_ALLOWED,
                "transfer on a link of which the peer is the receiver",
            );
            return self.end_session(session, Some(error));
        }
        // Transfers that were on their way when we detached, or that come before our answer, are thrown away.
        if link.is_attached()
            && let Err(error) = self.take_transfer(session, index, transfer)
        {
            self.detach_link(index, true, Some(error));
        }
        self.refresh_window(session);
    }

    fn take_transfer(&mut self, session: u32, index: u32, transfer: Transfer) -> Result<(), Error> {
        let Some(link) = self.links.get_mut(index) else {
            return Ok(());
        };
        let partial = match link.partial.take() {
            Some(partial) => Some(continued(partial, &transfer)?),
            None => {
                if !link.use_credit(1) {
                    return Err(over_credit());
                }
                None
            }
        };
        if transfer.aborted {
            // As if it had never been sent, but its credit is used (specification 2.6.14).
            self.refresh_credit(index);
            return Ok(());
        }
        let limit = link.max_message_bytes;
        let mut partial = match partial {
            Some(partial) => partial,
            None => {
                let head = started(&transfer)?;
                if !transfer.more && transfer.payload.len() as u64 <= limit {
                    return self.deliver(session, index, &head, transfer.payload);
                }
                Box::new(head)
            }
        };
        let size = partial.bytes.len() as u64 + transfer.payload.len() as u64;
        if partial.too_large || size > limit {
            partial.too_large = true;
            partial.bytes = BytesMut::new();
        } else {
            partial.bytes.extend_from_slice(&transfer.payload);
        }
        if transfer.more {
            link.partial = Some(partial);
        } else {
            let bytes = std::mem::take(&mut partial.bytes).freeze();
            self.deliver(session, index, &partial, bytes)?;
        }
        Ok(())
    }

    fn deliver(
        &mut self,
        session: u32,
        index: u32,
        head: &Partial,
        payload: Bytes,
    ) -> Result<(), Error> {
        let link = self.link_id(index);
        let delivery = head.delivery;
        let settled = head.settled;
        if !settled {
            let session = self.sessions.get_mut(session);
            if session.is_some_and(|session| !session.received.insert(delivery.0, link)) {
                let text = format!("delivery-id {} is in use or out of sequence", delivery.0);
                return Err(Error::new(condition::NOT_ALLOWED, text));
            }
            if let Some(link) = self.links.get_mut(index) {
                link.unsettled += 1;
            }
        }
        self.events.push_back(if head.too_large {
            Event::DeliveryTooLarge {
                link,
                delivery,
                settled,
            }
        } else {
            Event::Delivery {
                link,
                delivery,
                tag: head.tag,
                message_format: head.message_format,
                settled,
                payload,
            }
        });
        if settled {
            self.refresh_credit(index);
        }
        Ok(())
    }
}

/// The first frame of a delivery.
fn started(transfer: &Transfer) -> Result<Partial, Error> {
    let (Some(delivery), Some(tag)) = (transfer.delivery_id, transfer.delivery_tag) else {
        let text = "the first transfer of a delivery must have delivery-id and delivery-tag";
        return Err(Error::new(condition::INVALID_FIELD, text));
    };
    Ok(Partial {
        delivery: DeliveryId(delivery),
        tag,
        message_format: transfer.message_format.unwrap_or(0),
        settled: transfer.settled.unwrap_or(false),
        too_large: false,
        bytes: BytesMut::new(),
    })
}

/// Another frame of a delivery: what it repeats must agree.
fn continued(mut partial: Box<Partial>, transfer: &Transfer) -> Result<Box<Partial>, Error> {
    let same_id = transfer
        .delivery_id
        .is_none_or(|id| id == partial.delivery.0);
    let same_tag: bool = transfer
        .delivery_tag
        .is_none_or(|tag: DeliveryTag| tag == partial.tag);
    if !same_id || !same_tag {
        return Err(Error::new(
            condition::NOT_ALLOWED,
            "a delivery started before the one before it was whole",
        ));
    }
    // Settled on any frame settles the delivery.
    partial.settled |= transfer.settled.unwrap_or(false);
    Ok(partial)
}

fn over_credit() -> Error {
    Error::new(
        condition::TRANSFER_LIMIT_EXCEEDED,
        "a message came without credit",
    )
}
