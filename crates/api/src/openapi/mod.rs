//! The API's description: OpenAPI 3.1, made from the table of operations, and OpenAPI 2.0 for clients of the original.

mod description;
mod descriptions;
mod events;
mod pages;
mod swagger;
#[cfg(test)]
mod tests;

use std::sync::OnceLock;

use drawspan_api_types::{answers, connection_change, events as posted, requests, usage};
use drawspan_settings::API_KEY_HEADER;
use serde_json::Value;
use utoipa::ToSchema;
use utoipa::openapi::path::{HttpMethod, PathsBuilder};
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::tag::TagBuilder;
use utoipa::openapi::{
    Components, ComponentsBuilder, InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder, PathItem,
    ServerBuilder,
};

use super::operation::Operation;
use description::Tag;
pub(super) use pages::routes;

/// Names of the security schemes in the document: the key in `x-api-key`, and in `Authorization`.
const KEY_SCHEME: &str = "apiKey";
const BEARER_SCHEME: &str = "bearer";

const ABOUT: &str = "\
A device bridge for Azure IoT Hub: devices that cannot run an Azure IoT SDK speak HTTP, and the bridge speaks to the hub under each device's own identity.

* All operations except the probes need an API key, in the header `x-api-key` or as `Authorization: Bearer KEY`. A key may be limited to scopes and to a prefix of device ids.
* Literals in paths, names of query parameters and names of members in request bodies match in any case; unknown ones are ignored.
* Every failure is a problem document (RFC 9457), `application/problem+json`. Before a request reaches the API the server may also answer 400, 408 or 431 to input that is not HTTP.
* Times are UTC, ISO 8601.";

/// The document as it is served and checked in.
#[must_use]
pub fn json() -> &'static str {
    static TEXT: OnceLock<String> = OnceLock::new();
    TEXT.get_or_init(|| written(&document()))
}

/// The document of the original's operations, OpenAPI 2.0.
#[must_use]
pub fn swagger_json() -> &'static str {
    static TEXT: OnceLock<String> = OnceLock::new();
    TEXT.get_or_init(|| written(&swagger::document()))
}

fn written(document: &Value) -> String {
    // Values in memory: writing them does not fail.
    let mut text = serde_json::to_string_pretty(document).unwrap_or_default();
    text.push('\n');
    text
}

fn document() -> Value {
    let mut document = serde_json::to_value(built()).unwrap_or_default();
    // The builder does not support webhooks.
    document["webhooks"] = events::webhooks();
    document
}

fn built() -> OpenApi {
    let license = LicenseBuilder::new()
        .name("MIT OR Apache-2.0")
        .identifier(Some("MIT OR Apache-2.0"));
    let info = InfoBuilder::new()
        .title("Drawspan")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(ABOUT))
        .license(Some(license.build()));
    let tags = Tag::ALL.map(|tag| {
        let (name, about) = tag.words();
        TagBuilder::new()
            .name(name)
            .description(Some(about))
            .build()
    });
    let mut paths = PathsBuilder::new();
    for operation in Operation::ALL {
        let described = descriptions::describe(*operation).into_operation(*operation);
        paths = paths.path(
            operation.path(),
            PathItem::new(method(*operation), described),
        );
    }
    OpenApiBuilder::new()
        .info(info.build())
        .servers(Some([ServerBuilder::new().url("/").build()]))
        .tags(Some(tags))
        .components(Some(components()))
        .paths(paths.build())
        .build()
}

fn method(operation: Operation) -> HttpMethod {
    match operation.method().as_str() {
        "POST" => HttpMethod::Post,
        "PUT" => HttpMethod::Put,
        "PATCH" => HttpMethod::Patch,
        "DELETE" => HttpMethod::Delete,
        _ => HttpMethod::Get,
    }
}

fn components() -> Components {
    let mut schemas = Vec::new();
    let all = &mut schemas;
    with::<requests::Message>(all);
    with::<requests::Batch>(all);
    with::<requests::ReportedPatch>(all);
    with::<requests::Registration>(all);
    with::<requests::Subscribe>(all);
    with::<requests::FleetSubscribe>(all);
    with::<answers::TwinAnswer<'_>>(all);
    with::<answers::Subscription<'_>>(all);
    with::<answers::FleetSubscriptions<'_>>(all);
    with::<answers::ConnectionAnswer>(all);
    with::<posted::HeldMessage<'_>>(all);
    with::<answers::BatchAnswer<'_>>(all);
    with::<answers::Devices<'_>>(all);
    with::<answers::Diagnostics<'_>>(all);
    with::<usage::Usage<'_>>(all);
    with::<connection_change::ConnectionEvent<'_>>(all);
    with::<connection_change::MissedChanges<'_>>(all);
    with::<answers::DeadLetters<'_>>(all);
    with::<answers::Liveness>(all);
    with::<answers::Readiness>(all);
    with::<answers::Problem<'_>>(all);
    with::<posted::DesiredPropertyUpdate<'_>>(all);
    with::<posted::C2DMessage<'_>>(all);
    with::<posted::DirectMethodInvocation<'_>>(all);
    with::<posted::MethodAnswer>(all);
    with::<posted::ConnectionStatusChange<'_>>(all);
    let key = ApiKeyValue::with_description(
        API_KEY_HEADER,
        "A key of the setting `api_key`. Its scopes say what it opens: `send`, `read`, `manage`.",
    );
    let bearer = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some("The same key, as a bearer token."))
        .build();
    ComponentsBuilder::new()
        .schemas_from_iter(schemas)
        .security_scheme(KEY_SCHEME, SecurityScheme::ApiKey(ApiKey::Header(key)))
        .security_scheme(BEARER_SCHEME, SecurityScheme::Http(bearer))
        .build()
}

/// Adds a schema and those that it refers to.
fn with<T: ToSchema>(schemas: &mut Vec<(String, utoipa::openapi::RefOr<utoipa::openapi::Schema>)>) {
    schemas.push((T::name().into_owned(), T::schema()));
    T::schemas(schemas);
}
