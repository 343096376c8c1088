//! The routes, made from the verbs' operations.

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::get;

use super::verbs::VERBS;
use super::{access, openapi};
use crate::https::Shared;

/// Where the document is.
pub(super) const DOCUMENT: &str = "/emulator/openapi.json";

/// All routes of the control API, behind the check of who may use it.
pub(crate) fn routes(shared: &Shared) -> Router<Shared> {
    let operations = VERBS.iter().flat_map(|verb| verb.operations);
    let router = operations.fold(Router::new(), |router, operation| {
        let handler = (operation.handler)(operation.method.filter());
        router.route(operation.path, handler)
    });
    router
        .route(DOCUMENT, get(openapi::read))
        .route_layer(from_fn_with_state(shared.clone(), access::check))
}
