//! The engine's side of the peer protocol in `conformance/README.md`: foreign AMQP stacks meet it over plain TCP.
//!
//! `peer listen HOST:PORT` is the mirror, `peer connect HOST:PORT [--distinct-names]` the driver.

mod common;
mod driver;
mod mirror;
mod remote;

use std::process::ExitCode;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match words[..] {
        ["listen", address] => mirror::listen(address).await,
        ["connect", address] => driver::connect(address, false).await,
        ["connect", address, "--distinct-names"] => driver::connect(address, true).await,
        _ => Err("peer listen HOST:PORT | peer connect HOST:PORT [--distinct-names]".to_owned()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("FAILED: {why}");
            ExitCode::FAILURE
        }
    }
}
