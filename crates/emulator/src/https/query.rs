//! Queries over twins: the few that clients use to list devices and modules.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use drawspan_emulator_hub::hub::Hub;
use drawspan_hub::{DeviceId, ModuleId};
use drawspan_hub_model::client_id::ClientId;
use drawspan_hub_model::modules::ModuleEntry;
use drawspan_hub_model::policy::Right;
use drawspan_hub_model::registry::Entry;
use drawspan_hub_model::throttle::OperationClass;
use serde::Deserialize;
use serde_json::Value;

use super::body;
use super::caller::Caller;
use super::devices::IdPath;
use super::refusal::Refusal;
use super::request::text;
use super::throttling::{charge_answer, turn};
use super::twins::{describe, describe_module};
use super::wire::invalid;
use crate::limits::{QUERY_BYTES, QUERY_PAGE};

const CONTINUATION: HeaderName = HeaderName::from_static("x-ms-continuation");
const ITEM_TYPE: HeaderName = HeaderName::from_static("x-ms-item-type");
const MAX_ITEM_COUNT: &str = "x-ms-max-item-count";

#[derive(Deserialize)]
struct QueryBody {
    query: String,
}

/// The supported queries.
#[derive(Debug, PartialEq, Eq)]
enum Query {
    /// `SELECT * FROM devices`
    All,
    /// `SELECT * FROM devices WHERE deviceId = '…'`
    One(DeviceId),
    /// `SELECT * FROM devices.modules`
    Modules,
    /// `SELECT * FROM devices.modules WHERE deviceId = '…'`
    ModulesOf(DeviceId),
}

/// `POST /devices/query`. Not a separate route: a device may have that name.
pub(super) async fn run(
    caller: Caller,
    path: IdPath,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    if !path.is_ok_and(|path| path.0.eq_ignore_ascii_case("query")) {
        return Err(Refusal::wrong_method());
    }
    let hub = caller.hub(
        &[Right::ServiceConnect, Right::RegistryRead],
        "/devices/query",
    )?;
    let QueryBody { query } = body::read(body).await?;
    let query = parse(&query)?;
    let (count, after) = (
        page(&headers, hub.limits().query_page)?,
        continuation(&headers)?,
    );
    turn(hub, None, OperationClass::Queries, 1, []).await?;
    let found = find(hub, &query, after.as_ref(), count + 1);
    let behind = found.get(count).and(found.get(count - 1));
    let behind = behind.map(|(client, _)| client.clone());
    let twins: Vec<_> = found
        .into_iter()
        .take(count)
        .map(|(_, twin)| twin)
        .collect();
    let answer = answer(&twins, behind);
    charge_answer(hub, &answer);
    Ok(answer)
}

/// The first twins behind `after`, and whose they are.
fn find(hub: &Hub, query: &Query, after: Option<&ClientId>, top: usize) -> Vec<(ClientId, Value)> {
    let registry = hub.registry();
    let device = |entry: &Entry| (ClientId::from(&entry.device.id), describe(hub, entry));
    let module = |entry: &ModuleEntry| (entry.module.client(), describe_module(entry));
    let modules = registry.modules_after(after);
    match query {
        Query::One(id) => registry.get(id).map(device).into_iter().collect(),
        Query::All => match after {
            None => registry.list(top).map(device).collect(),
            Some(after) => registry
                .list_after(&after.device, top)
                .map(device)
                .collect(),
        },
        Query::Modules => modules.take(top).map(module).collect(),
        Query::ModulesOf(id) => {
            // There are few of one device.
            let of_device = registry.modules_of(id).into_iter().flatten();
            let behind =
                |entry: &&ModuleEntry| after.is_none_or(|after| entry.module.client() > *after);
            of_device.filter(behind).take(top).map(module).collect()
        }
    }
}

fn answer(twins: &[Value], behind: Option<ClientId>) -> Response {
    let mut response = body::write(StatusCode::OK, &twins);
    let headers = response.headers_mut();
    // The C# client takes this spelling and no other.
    headers.insert(ITEM_TYPE, HeaderValue::from_static("Twin"));
    let next = behind.map(|id| URL_SAFE_NO_PAD.encode(id.to_string()));
    if let Some(Ok(next)) = next.map(|next| HeaderValue::from_str(&next)) {
        headers.insert(CONTINUATION, next);
    }
    response
}

fn page(headers: &HeaderMap, most: usize) -> Result<usize, Refusal> {
    match text(headers, MAX_ITEM_COUNT).map(str::parse::<usize>) {
        None => Ok(QUERY_PAGE.min(most)),
        Some(Ok(count)) if count > 0 => Ok(count.min(most)),
        Some(_) => Err(invalid("x-ms-max-item-count is not a number above 0")),
    }
}

fn continuation(headers: &HeaderMap) -> Result<Option<ClientId>, Refusal> {
    let Some(token) = text(headers, CONTINUATION.as_str()).filter(|token| !token.is_empty()) else {
        return Ok(None);
    };
    let decoded = URL_SAFE_NO_PAD.decode(token).ok();
    decoded
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .and_then(|id| client(&id))
        .map(Some)
        .ok_or_else(|| invalid("x-ms-continuation is none of this hub"))
}

/// The client that was written as text.
fn client(text: &str) -> Option<ClientId> {
    let (device, module) = match text.split_once('/') {
        Some((device, module)) => (device, Some(ModuleId::parse(module).ok()?)),
        None => (text, None),
    };
    let device = DeviceId::parse(device).ok()?;
    Some(ClientId { device, module })
}

fn parse(query: &str) -> Result<Query, Refusal> {
    let not_yet = || {
        invalid(
            "This emulator answers SELECT * FROM devices and SELECT * FROM devices.modules, with WHERE deviceId = '...' if need be, and no other queries yet",
        )
    };
    if query.len() > QUERY_BYTES {
        return Err(not_yet());
    }
    // `*` and `=` need no space around them; the text has no spaces, since ids have none.
    let spaced = query.replace('*', " * ").replace('=', " = ");
    let in_text = query.split_once(['\'', '"']).map(|(_, rest)| rest);
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let are = |words: &[&str], expected: &[&str]| {
        words.len() == expected.len()
            && words
                .iter()
                .zip(expected)
                .all(|(word, expected)| word.eq_ignore_ascii_case(expected))
    };
    let all = ["select", "*", "from", "devices"];
    let modules = ["select", "*", "from", "devices.modules"];
    match (words.split_at_checked(4), in_text) {
        (Some((head, [])), None) if are(head, &all) => Ok(Query::All),
        (Some((head, [])), None) if are(head, &modules) => Ok(Query::Modules),
        (Some((head, [a, b, c, ..])), Some(text))
            if (are(head, &all) || are(head, &modules))
                && are(&[a, b, c], &["where", "deviceid", "="]) =>
        {
            let id = text
                .trim_end()
                .strip_suffix(['\'', '"'])
                .ok_or_else(not_yet)?;
            let id = id.replace("''", "'");
            let id = DeviceId::parse(&id).map_err(|_| not_yet())?;
            Ok(match are(head, &all) {
                true => Query::One(id),
                false => Query::ModulesOf(id),
            })
        }
        _ => Err(not_yet()),
    }
}
