//! Outbound connections: hubs and DPS are reached this way, and so are services that are needed before there is a configuration.

use std::path::Path;

use drawspan_net::{InvalidProxy, Proxy, Route};
use rustls_pki_types::CertificateDer;

use super::authorities;
use super::connect::ConnectTo;
use super::mistakes::Mistakes;
use super::value::{Value, relative_to};

/// The values of `proxy`, `ca` and `connect`. `Debug` shows no credentials.
#[derive(Debug, Clone, Default)]
#[cfg_attr(not(feature = "keyvault"), allow(dead_code))]
pub(super) struct Way {
    pub(super) proxy: Option<Proxy>,
    /// Authorities to trust; empty means the system's.
    pub(super) authorities: Vec<CertificateDer<'static>>,
    /// Names to be reached elsewhere, first match wins.
    pub(super) routes: Vec<Route>,
}

impl Way {
    /// From the values of `proxy`, `ca` and `connect`; paths in a file are relative to `folder`.
    pub(super) fn of(
        [by_proxy, ca, connect]: [Option<Value>; 3],
        folder: Option<&Path>,
        mistakes: &mut Mistakes,
    ) -> Self {
        let mut way = Self::default();
        if let Some(value) = by_proxy {
            let read = mistakes.keep(&value.source, proxy(value.text().trim()));
            way.proxy = read.flatten();
        }
        if let Some(value) = ca {
            let read = authorities::read(&relative_to(folder, value.text(), &value.source));
            way.authorities = mistakes.keep(&value.source, read).unwrap_or_default();
        }
        if let Some(value) = connect {
            let read = value
                .values
                .iter()
                .map(|text| ConnectTo::parse(text.0.trim()));
            let read = mistakes.keep(&value.source, read.collect::<Result<Vec<_>, _>>());
            let rules = read.unwrap_or_default();
            way.routes = rules.iter().map(ConnectTo::route).collect();
        }
        way
    }
}

/// Reads the setting `proxy`.
pub(super) fn proxy(text: &str) -> Result<Option<Proxy>, InvalidProxy> {
    match text {
        "none" => Ok(None),
        url => Proxy::parse(url).map(Some),
    }
}
