//! `drawspan-ceiling KEY`: listens at a free port of loopback, for callers with that key, until it is killed.

use std::error::Error;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use drawspan_api::api::Api;
use drawspan_api::server::{self, Terms};
use drawspan_ceiling::AnswerAtOnce;
use drawspan_settings::ApiKeys;
use drawspan_settings::limits::REQUEST_TIMEOUT_S;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    drawspan_settings::open_files::raise_limit();
    let key = std::env::args().nth(1);
    let api_keys = ApiKeys::new([key.ok_or("usage: drawspan-ceiling KEY")?.as_str()]);
    let listener = server::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
    println!("listening on http://{}\nready", listener.local_addr()?);
    let api = Api::new(
        AnswerAtOnce,
        api_keys,
        Duration::from_secs(REQUEST_TIMEOUT_S),
    );
    let terms = Terms::new(Duration::from_secs(1));
    server::serve(listener, api, std::future::pending(), terms).await;
    Ok(())
}
