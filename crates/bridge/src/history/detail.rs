//! Who caused a failure, in one line.

use std::sync::Arc;

use drawspan_hub::failure::Ending;
use drawspan_hub::{Failure, FailureKind};

use crate::limits::DETAIL_MAX_CHARS;

/// The line. `peer`: the hub or DPS, by its host name, if it is known.
pub(crate) fn detail_of(failure: &Failure, peer: Option<&str>) -> Arc<str> {
    let peer = peer.unwrap_or("hub");
    let who = match (failure.kind, failure.ending) {
        (FailureKind::LinkStolen, _) => format!("another client, as {peer} says"),
        (_, Ending::Own) => "bridge".to_owned(),
        (_, Ending::Told | Ending::Unexplained | Ending::ClocksDiffer) => peer.to_owned(),
        (_, Ending::Silence | Ending::TokenRanOut) => format!("bridge, of {peer}"),
        (_, Ending::Found) => format!("bridge, on its way to {peer}"),
    };
    let condition = failure.condition.as_deref();
    let condition = condition.filter(|condition| failure.message != **condition);
    let line = match condition {
        Some(condition) => format!("{who}: {condition}: {failure}"),
        None => format!("{who}: {failure}"),
    };
    match line.char_indices().nth(DETAIL_MAX_CHARS) {
        Some((end, _)) => line.get(..end).unwrap_or_default().into(),
        None => line.into(),
    }
}
