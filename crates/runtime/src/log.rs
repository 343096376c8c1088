//! The controller's notes, as lines of the log.

use drawspan_bridge::controller::Note;
use drawspan_bridge::delivery::{self, OriginNews};
use drawspan_bridge::limits::MAX_CALLBACK_ANSWER_BYTES;
use drawspan_fleet::News;
use drawspan_gateway::log_limit::{
    ENDED_CONNECTIONS, FULL_HUBS, Leave, NO_ROOM, RECEIVERS, REFUSED_DEVICES, REFUSED_LINKS,
    UNREAD_ANSWERS, UNTAKEN_EVENTS,
};
use drawspan_hub::{ConnectionCause, Failure, HostName};

pub(super) fn write(note: &Note) {
    match note {
        Note::Status(device, change) => {
            let cause = change.cause.map(ConnectionCause::as_str);
            let (status, reason) = (change.status.as_str(), change.reason.as_str());
            tracing::debug!(%device, status, reason, cause, detail = change.detail.as_deref());
        }
        Note::LinkRefused(device, link, failure) => {
            let subject = format_args!("{:?}", failure.kind);
            if let Some(Leave { left_out }) = REFUSED_LINKS.pass(subject) {
                tracing::info!(%device, ?link, reason = %failure, left_out, "a hub refuses a link");
            }
        }
        Note::DeviceRefused(device, host, failure) => {
            let subject = format_args!("{host} {:?}", failure.kind);
            if let Some(Leave { left_out }) = REFUSED_DEVICES.pass(subject) {
                tracing::warn!(%host, %device, reason = %failure, left_out, "refuses a device");
            }
        }
        Note::ConnectionEnded(hub, devices, failure) => {
            let subject = format_args!("{hub} {:?}", failure.kind);
            if let Some(Leave { left_out }) = ENDED_CONNECTIONS.pass(subject) {
                tracing::warn!(%hub, devices, reason = %failure, left_out, "a connection ended");
            }
        }
        Note::Draining(devices) => tracing::info!(
            devices,
            "a connection is replaced: devices that left hold most of its token slots"
        ),
        Note::NotConnectable(device, reason) => {
            tracing::debug!(%device, %reason, "a subscribed device cannot be connected");
        }
        Note::NoRoomForStatus(device) => {
            if let Some(Leave { left_out }) = NO_ROOM.pass("status") {
                tracing::warn!(%device, left_out, "no room for a change of its connection");
            }
        }
        Note::ShareUsedUp(origin) => {
            if let Some(Leave { left_out }) = NO_ROOM.pass(origin) {
                tracing::warn!(
                    %origin,
                    left_out,
                    "events that wait for a receiver take up its share of the memory; further ones are refused"
                );
            }
        }
        Note::NotTaken(device, kind, origin, reason) => {
            if let Some(Leave { left_out }) = UNTAKEN_EVENTS.pass(origin) {
                tracing::warn!(%device, %kind, %origin, %reason, left_out, "an event was not taken");
            }
        }
        Note::Unread(device, receiver, reason, status) => {
            if let Some(Leave { left_out }) = UNREAD_ANSWERS.pass(receiver) {
                tracing::warn!(
                    %device, %receiver, reason, status, left_out,
                    "the answer to a method cannot be read: it must be {{\"status\": …, \"payload\": …}} in UTF-8, of less than {MAX_CALLBACK_ANSWER_BYTES} bytes; its caller gets this status without payload"
                );
            }
        }
        Note::Receiver(news) => write_receiver(news),
        Note::Spellings(spellings, some) => {
            let some: Vec<String> = some
                .iter()
                .map(|(other, called)| format!("{other} is {called}"))
                .collect();
            tracing::warn!(
                spellings,
                ?some,
                "DPS ignores the case of ids: data stored for one device under several spellings was merged"
            );
        }
    }
}

pub(super) fn write_news(host: &HostName, news: News, failure: Option<&Failure>) {
    let reason = failure.map(Failure::to_string).unwrap_or_default();
    match news {
        News::Unreachable => tracing::warn!(%host, %reason, "cannot be reached"),
        News::Reachable => tracing::info!(%host, "can be reached again"),
        News::RefusesCredentials => {
            tracing::warn!(%host, %reason, "refuses the credentials, and has accepted none since the start");
        }
        News::RefusesEveryone => {
            tracing::error!(%host, %reason, "refuses the credentials of many devices");
        }
        News::TakesCredentials => tracing::info!(%host, "takes credentials again"),
        News::QuotaExceeded => {
            tracing::warn!(%host, %reason, "its daily quota is used up; it is tried now and then until 00:00 UTC");
        }
        News::QuotaRestored => tracing::info!(%host, "its daily quota is not used up any more"),
        News::Silent => tracing::warn!(%host, %reason, "does not answer"),
        News::Failing => tracing::warn!(%host, %reason, "answers with server errors"),
        News::Recovered => tracing::info!(%host, "answers as it should again"),
        News::Full => {
            if let Some(Leave { left_out }) = FULL_HUBS.pass(host) {
                tracing::warn!(%host, %reason, left_out, "has no room for more devices on its connections");
            }
        }
        News::HasRoom => {
            if let Some(Leave { left_out }) = FULL_HUBS.pass(format_args!("{host} {news:?}")) {
                tracing::info!(%host, left_out, "has room for more devices again");
            }
        }
    }
}

fn write_receiver(news: &delivery::News) {
    let origin = &*news.origin;
    // Of one that fails and answers by turns, both are said once.
    let subject = format_args!("{origin} {:?}", news.change).to_string();
    let Some(Leave { left_out }) = RECEIVERS.pass(subject) else {
        return;
    };
    match (news.change, &news.why) {
        (OriginNews::LeftAlone, Some(reason)) => {
            tracing::warn!(origin, %reason, left_out, "a receiver of events fails again and again; it is tried now and then only");
        }
        (OriginNews::LeftAlone, None) => {
            tracing::warn!(
                origin,
                left_out,
                "a receiver of events is tried now and then only"
            );
        }
        (OriginNews::Answers, _) => {
            tracing::info!(origin, left_out, "a receiver of events answers again");
        }
    }
}
