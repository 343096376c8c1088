//! Queries over twins: the few that clients use to list devices.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use drawspan_hub::DeviceId;
use drawspan_hub_model::policy::Right;
use drawspan_hub_model::registry::{Entry, Registry};
use serde::Deserialize;
use serde_json::Value;

use super::body;
use super::caller::Caller;
use super::devices::IdPath;
use super::refusal::Refusal;
use super::request::text;
use super::twins::describe;
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
    let (mut twins, mut last) = (Vec::new(), None);
    let mut more = false;
    for entry in entries(&hub.registry(), &query, after.as_ref(), count + 1) {
        if twins.len() == count {
            more = true;
            break;
        }
        last = Some(entry.device.id.clone());
        twins.push(describe(hub, entry));
    }
    Ok(answer(&twins, last.filter(|_| more)))
}

fn entries<'a>(
    registry: &'a Registry,
    query: &Query,
    after: Option<&'a DeviceId>,
    top: usize,
) -> Box<dyn Iterator<Item = &'a Entry> + 'a> {
    match (query, after) {
        (Query::One(id), _) => Box::new(registry.get(id).into_iter()),
        (Query::All, None) => Box::new(registry.list(top)),
        (Query::All, Some(after)) => Box::new(registry.list_after(after, top)),
    }
}

fn answer(twins: &[Value], behind: Option<DeviceId>) -> Response {
    let mut response = body::write(StatusCode::OK, &twins);
    let headers = response.headers_mut();
    // The C# client takes this spelling and no other.
    headers.insert(ITEM_TYPE, HeaderValue::from_static("Twin"));
    let next = behind.map(|id| URL_SAFE_NO_PAD.encode(id.as_str()));
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

fn continuation(headers: &HeaderMap) -> Result<Option<DeviceId>, Refusal> {
    let Some(token) = text(headers, CONTINUATION.as_str()).filter(|token| !token.is_empty()) else {
        return Ok(None);
    };
    let decoded = URL_SAFE_NO_PAD.decode(token).ok();
    decoded
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .and_then(|id| DeviceId::parse(&id).ok())
        .map(Some)
        .ok_or_else(|| invalid("x-ms-continuation is none of this hub"))
}

fn parse(query: &str) -> Result<Query, Refusal> {
    let not_yet = || {
        invalid(
            "This emulator answers SELECT * FROM devices, with WHERE deviceId = '...' if need be, and no other queries yet",
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
    match (words.split_at_checked(4), in_text) {
        (Some((head, [])), None) if are(head, &all) => Ok(Query::All),
        (Some((head, [a, b, c, ..])), Some(text))
            if are(head, &all) && are(&[a, b, c], &["where", "deviceid", "="]) =>
        {
            let id = text
                .trim_end()
                .strip_suffix(['\'', '"'])
                .ok_or_else(not_yet)?;
            let id = id.replace("''", "'");
            DeviceId::parse(&id).map(Query::One).map_err(|_| not_yet())
        }
        _ => Err(not_yet()),
    }
}
