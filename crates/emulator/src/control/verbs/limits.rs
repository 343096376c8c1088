//! `limits`: the rates and the daily quota of hubs and of the provisioning service.

use std::fmt::Write as _;

use axum::extract::State;
use axum::http::Uri;
use axum::routing::on;
use drawspan_emulator_hub::hub::Hub;
use drawspan_hub_model::throttle::{ClassState, InvalidWord, RateLimits, rate_text};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::control::body::Json;
use crate::control::operation::{Method, Operation, Parameter, Shape};
use crate::control::path::Hubs;
use crate::control::problem::Problem;
use crate::control::verb::{Call, InvalidWords, Verb};
use crate::control::words;
use crate::https::{Shared, query};

const PATH: &str = "/emulator/limits";

pub(super) const LIMITS: Verb = Verb {
    name: "limits",
    usages: &[
        ("limits [hub NAME]", "show rates, the quota, and what waits"),
        (
            "limits SKU[xUNITS] [hub NAME]",
            "the documented limits of such a hub: limits S1x2",
        ),
        ("limits off [hub NAME]", "limit nothing, as by default"),
        (
            "limits CLASS=RATE … [hub NAME]",
            "limit classes of operations: limits d2c=5/s connects=2/s. Classes: connects, d2c, c2d-sends, c2d-receives, \
             registry, twin-reads, twin-updates, methods, queries, uploads, jobs, job-devices, configurations, \
             dps-registrations, dps-operations, dps-polls. Rates: N/s, N/min, N/h, off, sku",
        ),
        (
            "limits quota=N burst.CLASS=S queue.CLASS=S wait=S retry-after=S over-quota=accepted connack=3",
            "the daily quota, and what is done beyond the limits; each as for --limit",
        ),
    ],
    operations: &[
        Operation {
            method: Method::Get,
            path: PATH,
            about: "The limits in force, what waits because of them, and what is used of the quota.",
            query: HUB,
            body: None,
            answer: Shape::of::<Limits>(),
            handler: |method| on(method, read),
        },
        Operation {
            method: Method::Put,
            path: PATH,
            about: "Changes limits at once, word by word. Either all words count or none.",
            query: HUB,
            body: Some(Shape::of::<Words>()),
            answer: Shape::of::<Limits>(),
            handler: |method| on(method, write),
        },
    ],
    parse,
};

const HUB: &[Parameter] = &[Parameter {
    name: "hub",
    about: "Name of the hub; without it, every hub and the provisioning service.",
}];

/// Words as the command takes them.
#[derive(Serialize, Deserialize, ToSchema)]
#[schema(as = LimitWords)]
struct Words {
    /// For instance `["S1x2", "d2c=5/s"]`.
    words: Vec<String>,
}

/// The limits in force.
#[derive(Serialize, Deserialize, ToSchema)]
struct Limits {
    hubs: Vec<HubLimits>,
    /// Those of the provisioning service, as words; absent if one hub was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    dps: Option<String>,
}

/// The limits of one hub.
#[derive(Serialize, Deserialize, ToSchema)]
struct HubLimits {
    hub: String,
    /// The words that set them: `off`, `S1x2 d2c=5/s`.
    limits: String,
    /// Classes of operations that are limited.
    classes: Vec<Class>,
    /// The daily quota, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    quota: Option<Quota>,
}

/// A class of operations that is limited.
#[derive(Serialize, Deserialize, ToSchema)]
#[schema(as = LimitedClass)]
struct Class {
    class: String,
    /// For instance `100/s`; absent if the tier does not have such operations.
    #[serde(skip_serializing_if = "Option::is_none")]
    rate: Option<String>,
    /// Operations that would pass at once, now.
    free: u64,
    /// Operations that wait.
    waiting: u64,
}

/// The daily quota of messages.
#[derive(Serialize, Deserialize, ToSchema)]
#[schema(as = DailyQuota)]
struct Quota {
    /// Messages of a day.
    limit: u64,
    /// Messages since 00:00 UTC.
    used: u64,
}

fn parse(words: &[&str]) -> Result<Call, InvalidWords> {
    let (words, hub) = words::with_hub(words)?;
    let target = words::at_hub(PATH.to_owned(), hub);
    if words.is_empty() {
        return Ok(Call::new(Method::Get, target, text));
    }
    let mut tried = RateLimits::default();
    for word in words {
        let applied = tried.apply(word);
        applied.map_err(|error| InvalidWords::new(error.to_string()))?;
    }
    let words = words.iter().map(|word| (*word).to_owned()).collect();
    Ok(Call::new(Method::Put, target, text).with_body(&Words { words }))
}

fn text(limits: &Limits) -> String {
    let mut text = String::new();
    // Writing to a string does not fail.
    for hub in &limits.hubs {
        let _ = writeln!(text, "{}: {}", hub.hub, hub.limits);
        for Class {
            class,
            rate,
            free,
            waiting,
        } in &hub.classes
        {
            let _ = match rate {
                Some(rate) => writeln!(
                    text,
                    "  {class:<18} {rate:>10}  {free} free, {waiting} waiting"
                ),
                None => writeln!(text, "  {class:<18} {:>10}", "not in tier"),
            };
        }
        if let Some(Quota { limit, used }) = hub.quota {
            let _ = writeln!(
                text,
                "  {:<18} {used} of {limit} messages used today",
                "quota"
            );
        }
    }
    if let Some(dps) = &limits.dps {
        let _ = writeln!(text, "provisioning service: {dps}");
    }
    text.truncate(text.trim_end().len());
    text
}

/// `GET /emulator/limits`
async fn read(State(shared): State<Shared>, uri: Uri, Hubs(hubs): Hubs) -> Json<Limits> {
    let dps = query(&uri, "hub").is_none();
    Json(Limits {
        hubs: hubs.iter().map(|hub| HubLimits::of(hub)).collect(),
        dps: dps.then(|| shared.dps.rate_limits().to_string()),
    })
}

/// `PUT /emulator/limits`
async fn write(
    State(shared): State<Shared>,
    uri: Uri,
    Hubs(hubs): Hubs,
    Json(Words { words }): Json<Words>,
) -> Result<Json<Limits>, Problem> {
    let of_hubs = hubs
        .iter()
        .map(|hub| changed(hub.rate_limits(Clone::clone), &words));
    let of_hubs = of_hubs.collect::<Result<Vec<_>, _>>()?;
    let of_dps = match query(&uri, "hub") {
        None => Some(changed(shared.dps.rate_limits(), &words)?),
        Some(_) => None,
    };
    for (hub, limits) in hubs.iter().zip(of_hubs) {
        hub.set_rate_limits(limits);
    }
    if let Some(limits) = of_dps {
        shared.dps.set_rate_limits(limits);
    }
    Ok(read(State(shared), uri, Hubs(hubs)).await)
}

fn changed(mut limits: RateLimits, words: &[String]) -> Result<RateLimits, Problem> {
    let mut words = words.iter();
    words
        .try_for_each(|word| limits.apply(word))
        .map_err(|error: InvalidWord| Problem::invalid(error.to_string()))?;
    Ok(limits)
}

impl HubLimits {
    fn of(hub: &Hub) -> Self {
        let state = hub.throttle_state();
        let class = |class: ClassState| Class {
            class: class.class.to_string(),
            rate: class.rate.map(rate_text),
            free: class.free,
            waiting: class.waiting,
        };
        let of_hub = state.classes.into_iter().filter(|it| !it.class.is_of_dps());
        Self {
            hub: hub.host().to_string(),
            limits: state.limits.to_string(),
            classes: of_hub.map(class).collect(),
            quota: state.quota.map(|quota| Quota {
                limit: quota.limit,
                used: quota.used,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::control::tests::{ctl, ctl_json, emulator};

    #[tokio::test]
    async fn limits_are_shown_and_changed() {
        let folder = tempfile::tempdir().unwrap();
        let running = emulator(folder.path(), &["d"]).await;
        let off = ctl(folder.path(), "limits").await.unwrap();
        assert_eq!(off, "localhost: off\nprovisioning service: off\n");
        let set = ctl_json(folder.path(), "limits S1x2 d2c=5/s quota=1000").await;
        let hub = &set["hubs"][0];
        assert_eq!(hub["limits"], "S1x2 d2c=5/s quota=1000");
        assert_eq!(hub["quota"]["used"], 0);
        assert_eq!(hub["classes"][0]["rate"], "100/s");
        assert_eq!(hub["classes"][1]["free"], 300);
        assert_eq!(set["dps"], "S1x2 d2c=5/s quota=1000");
        let basic = ctl(folder.path(), "limits B1 hub localhost").await.unwrap();
        assert!(basic.contains("methods            not in tier"), "{basic}");
        assert!(!basic.contains("provisioning"), "{basic}");
        let off = ctl(folder.path(), "limits off quota=off").await.unwrap();
        assert!(off.starts_with("localhost: off quota=off\n"), "{off}");
        running.shutdown().await;
    }

    #[tokio::test]
    async fn words_that_are_not_understood_are_a_mistake_in_the_command() {
        let folder = tempfile::tempdir().unwrap();
        for line in [
            "limits S9",
            "limits d2c=fast",
            "limits telemetry=5/s",
            "limits S1 hub",
        ] {
            let error = ctl(folder.path(), line).await.unwrap_err();
            assert!(error.is_usage(), "{line}: {error}");
        }
    }
}
