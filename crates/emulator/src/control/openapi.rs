//! The control API's description, OpenAPI 3.1, made from the verbs' operations.

use std::sync::OnceLock;

use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};
use utoipa::openapi::path::{
    OperationBuilder, ParameterBuilder, ParameterIn, PathItem, PathsBuilder,
};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::security::{ApiKey, ApiKeyValue, SecurityScheme};
use utoipa::openapi::{
    ComponentsBuilder, ContentBuilder, InfoBuilder, OpenApi, OpenApiBuilder, Ref, Required,
    ResponseBuilder, ResponsesBuilder,
};

use super::operation::{Operation, Shape};
use super::problem::Problem;
use super::verbs::VERBS;

const ABOUT: &str = "\
What tests and people ask of a running emulator; `drawspan emulator ctl` asks the same.

* A program on this machine needs no token. From another machine, `Authorization` has a shared access signature of the policy \
`iothubowner` for any of the hubs.
* Every failure is a problem document (RFC 9457), `application/problem+json`.
* Times are UTC, Unix milliseconds of the emulator's clock.";

const JSON: &str = "application/json";

/// `GET /emulator/openapi.json`
pub(super) async fn read() -> Response {
    static TEXT: OnceLock<String> = OnceLock::new();
    let text = TEXT.get_or_init(|| {
        // Values in memory: writing them does not fail.
        serde_json::to_string_pretty(&document()).unwrap_or_default()
    });
    let content_type = HeaderValue::from_static("application/json; charset=utf-8");
    ([(header::CONTENT_TYPE, content_type)], text.as_str()).into_response()
}

/// The document.
pub(super) fn document() -> Value {
    let mut document = serde_json::to_value(built()).unwrap_or_default();
    // On this machine no token is needed.
    document["security"] = json!([{}, { "owner": [] }]);
    document
}

fn built() -> OpenApi {
    let info = InfoBuilder::new()
        .title("Drawspan emulator")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(ABOUT));
    let mut paths = PathsBuilder::new();
    let problem = Shape::of::<Problem>();
    let mut schemas = vec![((problem.name)().into_owned(), (problem.schema)())];
    for verb in VERBS {
        for operation in verb.operations {
            let item = PathItem::new(operation.method.described(), described(operation));
            paths = paths.path(operation.path, item);
            for shape in operation.body.iter().chain([&operation.answer]) {
                schemas.push(((shape.name)().into_owned(), (shape.schema)()));
                (shape.inner)(&mut schemas);
            }
        }
    }
    let owner = ApiKeyValue::with_description(
        "Authorization",
        "A shared access signature of the policy iothubowner.",
    );
    let components = ComponentsBuilder::new()
        .schemas_from_iter(schemas)
        .security_scheme("owner", SecurityScheme::ApiKey(ApiKey::Header(owner)));
    OpenApiBuilder::new()
        .info(info.build())
        .paths(paths.build())
        .components(Some(components.build()))
        .build()
}

fn described(operation: &Operation) -> utoipa::openapi::path::Operation {
    let text = || Some(ObjectBuilder::new().schema_type(Type::String).build());
    let mut built = OperationBuilder::new().summary(Some(operation.about));
    for name in names(operation.path) {
        built = built.parameter(
            ParameterBuilder::new()
                .name(name)
                .parameter_in(ParameterIn::Path)
                .required(Required::True)
                .schema(text()),
        );
    }
    for parameter in operation.query {
        built = built.parameter(
            ParameterBuilder::new()
                .name(parameter.name)
                .description(Some(parameter.about))
                .parameter_in(ParameterIn::Query)
                .schema(text()),
        );
    }
    if let Some(body) = operation.body {
        let body = RequestBodyBuilder::new()
            .content(JSON, content(body))
            .required(Some(Required::True));
        built = built.request_body(Some(body.build()));
    }
    let done = ResponseBuilder::new()
        .description("Done.")
        .content(JSON, content(operation.answer));
    let problem = ResponseBuilder::new()
        .description("Not done.")
        .content("application/problem+json", content(Shape::of::<Problem>()));
    let responses = ResponsesBuilder::new()
        .response("200", done.build())
        .response("default", problem.build());
    built.responses(responses.build()).build()
}

fn content(shape: Shape) -> utoipa::openapi::Content {
    let name = (shape.name)();
    ContentBuilder::new()
        .schema(Some(Ref::from_schema_name(name)))
        .build()
}

/// The parameters in a path.
fn names(path: &str) -> impl Iterator<Item = &str> {
    path.split('/')
        .filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'))
}
