//! Views: look-ups in the controller for callers.

mod device_list;
mod diagnostics;

use std::time::Duration;

use super::platform::Controller;
use super::request::Look;
use super::snapshot::Snapshot;
use crate::errors::delayed;

/// Answers it. `per_device_tokens`: whether each device has its own token.
pub(super) fn look(controller: &Controller, look: Look, per_device_tokens: bool, now: Duration) {
    // The caller may have given up, which is fine.
    match look {
        Look::Status { device, reply } => {
            let device = controller.called(&device);
            _ = reply.send(controller.status_of(&device));
        }
        Look::Delay { device, reply } => {
            let device = controller.called(&device);
            _ = reply.send(delayed(controller.delay_of(&device, now)));
        }
        Look::Diagnose { device, reply } => {
            let device = controller.called(&device);
            let diagnostics = diagnostics::of(controller, &device, per_device_tokens);
            _ = reply.send(diagnostics);
        }
        Look::Subscription {
            mut scope,
            kind,
            reply,
        } => {
            if let drawspan_gateway::Scope::Device(device) = &mut scope {
                *device = controller.called(device);
            }
            _ = reply.send(Ok(controller.subscribed(&scope, kind)));
        }
        Look::List { query, reply } => _ = reply.send(Ok(device_list::page(controller, &query))),
        Look::Names { device, reply } => _ = reply.send(controller.names(&device)),
        Look::Measure { reply } => _ = reply.send(Snapshot::of(controller)),
        Look::FleetSubscriptions { reply } => {
            _ = reply.send(Ok(controller.table().all_of_fleet()));
        }
    }
}
