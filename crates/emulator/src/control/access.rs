//! Who may use the control API: programs on this machine, and holders of the owner's token.
//!
//! A program on this machine needs no token. A browser on this machine is a program as well, and runs pages of strangers: a page must
//! not reach the emulator by a name of its own that leads to the loopback address (DNS rebinding), so the `Host` must be a name of the
//! emulator's; nor by the emulator's name from elsewhere, so a request that a browser marks as another site's is refused.

use std::net::IpAddr;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use drawspan_emulator_hub::hub_set::HubSet;
use drawspan_hub::sas::Token;
use drawspan_hub_model::access::{Denied, Principal};

use super::OWNER;
use super::problem::Problem;
use crate::https::{Peer, Shared, text};

/// What browsers say of a request that comes from a page of the same site, or from the user.
const OWN_SITE: [&str; 2] = ["same-origin", "none"];

/// Lets a request pass that may.
pub(super) async fn check(
    State(shared): State<Shared>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let peer = request.extensions().get::<Peer>().map(|peer| peer.0.ip());
    let headers = request.headers();
    let host = request.uri().authority().map(|it| it.as_str());
    let host = host.or_else(|| text(headers, header::HOST.as_str()));
    allowed(&shared.hubs, peer, host, headers)?;
    Ok(next.run(request).await)
}

/// Whether a request of `peer` to `host` may be done.
pub(super) fn allowed(
    hubs: &HubSet,
    peer: Option<IpAddr>,
    host: Option<&str>,
    headers: &HeaderMap,
) -> Result<(), Problem> {
    if let Some(token) = text(headers, header::AUTHORIZATION.as_str()) {
        // Only who has the key can send one: where it comes from does not matter.
        return by_token(hubs, token);
    }
    if !peer.is_some_and(|peer| peer.to_canonical().is_loopback()) {
        return Err(Problem::new(
            StatusCode::UNAUTHORIZED,
            format!("from another machine the control API needs a token of the policy {OWNER}"),
        ));
    }
    let host = host.unwrap_or_default();
    if !hubs.is_own_name(host) {
        return Err(forbidden(format!(
            "the control API is not served at `{host}`: use a hub's name, localhost or a loopback address"
        )));
    }
    if is_of_another_site(headers, host) {
        return Err(forbidden(
            "the request comes from a web page of another site",
        ));
    }
    Ok(())
}

/// Fetch metadata where the browser sends it, else the origin.
fn is_of_another_site(headers: &HeaderMap, host: &str) -> bool {
    let site = text(headers, "sec-fetch-site");
    if site.is_some_and(|site| !OWN_SITE.contains(&site)) {
        return true;
    }
    headers.contains_key(header::ORIGIN)
        && text(headers, header::ORIGIN.as_str())
            .and_then(|origin| origin.strip_prefix("https://"))
            .is_none_or(|origin| !origin.eq_ignore_ascii_case(host))
}

/// A token of the owner's at any of the hubs, whose policies have one key.
fn by_token(hubs: &HubSet, text: &str) -> Result<(), Problem> {
    let refused = |reason: Denied| Problem::new(StatusCode::UNAUTHORIZED, reason.to_string());
    let token = Token::parse(text).map_err(|_| refused(Denied::Malformed))?;
    let of_hub = hubs.hubs().iter().find(|hub| token.covers(hub.host(), "/"));
    let hub = of_hub.ok_or_else(|| refused(Denied::OtherHost))?;
    let grant = hub.authenticate(text).map_err(refused)?;
    match grant.principal {
        Principal::Policy(policy) if policy.name == OWNER => Ok(()),
        _ => Err(forbidden(format!(
            "the control API needs a token of the policy {OWNER}"
        ))),
    }
}

fn forbidden(detail: impl Into<String>) -> Problem {
    Problem::new(StatusCode::FORBIDDEN, detail)
}
