//! `fault`: what goes wrong on request, at once or for a while.

mod acts;
mod body;
#[cfg(test)]
mod tests;
mod words;

use axum::extract::State;
use axum::http::request::Parts;
use axum::routing::on;

use crate::control::body::Json;
use crate::control::operation::{Method, Operation, Parameter, Shape};
use crate::control::path;
use crate::control::problem::Problem;
use crate::control::verb::Verb;
use crate::https::Shared;
use body::{FaultList, FaultMade, NewFault};

pub(super) const FAULT: Verb = Verb {
    name: "fault",
    usages: words::USAGES,
    operations: &[
        Operation {
            method: Method::Get,
            path: "/emulator/faults",
            about: "Lists the faults that are active.",
            query: &[],
            body: None,
            answer: Shape::of::<FaultList>(),
            handler: |method| on(method, list),
        },
        Operation {
            method: Method::Post,
            path: "/emulator/faults",
            about: "Causes a fault: at once (drop, steal, detach), or for a while (refuse, slow, stall).",
            query: &[],
            body: Some(Shape::of::<NewFault>()),
            answer: Shape::of::<FaultMade>(),
            handler: |method| on(method, cause),
        },
        Operation {
            method: Method::Delete,
            path: "/emulator/faults",
            about: "Lifts the active faults, or one of them; lists those that it lifted.",
            query: &[Parameter {
                name: "number",
                about: "The number of the fault to lift; without it, all.",
            }],
            body: None,
            answer: Shape::of::<FaultList>(),
            handler: |method| on(method, lift),
        },
    ],
    parse: words::parse,
};

/// `GET /emulator/faults`
async fn list(State(shared): State<Shared>) -> Json<FaultList> {
    Json(FaultList::of(&shared.control.faults.list()))
}

/// `POST /emulator/faults`
async fn cause(
    State(shared): State<Shared>,
    Json(fault): Json<NewFault>,
) -> Result<Json<FaultMade>, Problem> {
    acts::cause(&shared, &fault).map(Json)
}

/// `DELETE /emulator/faults`
async fn lift(State(shared): State<Shared>, parts: Parts) -> Result<Json<FaultList>, Problem> {
    let number = path::value(&parts, "number")?;
    let number = number.map(|text| {
        text.parse()
            .map_err(|_| Problem::invalid(format!("`{text}` is no number of a fault")))
    });
    acts::lift(&shared, number.transpose()?).map(Json)
}
