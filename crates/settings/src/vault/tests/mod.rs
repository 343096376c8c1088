//! The reader against a vault of our own. (`tests/command/vault.rs` is the same seen from outside.)

mod answers;
mod choice;
mod fake;

use std::time::Duration;

use drawspan_net::Route;

use super::Ask;
use super::read::read_within;
use crate::environment::Environment;
use crate::outbound::Way;
use fake::{Fake, LOGIN, Manner, Reply, TOKEN, VAULT, answer};

const URL: &str = "https://own.vault.test";
const NAMES: [&str; 2] = ["apiKey", "iotc-sas-key"];
/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(60);
/// Stands in every secret.
const MARKER: &str = "marker";
const APPLICATION: [(&str, &str); 4] = [
    ("AZURE_TENANT_ID", "tenant"),
    ("AZURE_CLIENT_ID", "client"),
    ("AZURE_CLIENT_SECRET", "marker-secret"),
    ("AZURE_AUTHORITY_HOST", "https://login.test"),
];

type Read = Result<Vec<Option<String>>, String>;

fn environment(variables: &[(&str, &str)]) -> Environment {
    let mut environment = Environment::default();
    for (name, value) in variables {
        environment.set(name, value);
    }
    environment
}

fn way(fake: &Fake) -> Way {
    let route = |host: &str, to| Route {
        host: host.to_owned(),
        port: None,
        to,
    };
    Way {
        proxy: None,
        authorities: vec![fake.certificate.der().clone()],
        routes: vec![
            route(VAULT, fake.address),
            route(LOGIN, fake.address),
            route("elsewhere.test", fake.address),
            route("169.254.169.254", fake.clear),
        ],
    }
}

/// Reads [`NAMES`].
async fn read(way: Way, url: &str, variables: &[(&str, &str)], limit: Duration) -> Read {
    let (url, environment) = (url.to_owned(), environment(variables));
    let work = move || {
        let ask = Ask {
            url: &url,
            names: &NAMES,
            environment: &environment,
            way,
        };
        read_within(&ask, limit)
    };
    tokio::task::spawn_blocking(work).await.unwrap()
}

fn proper(_: &fake::Asked) -> Option<Reply> {
    None
}
