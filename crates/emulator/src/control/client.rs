//! One request to the control API.

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::http::uri::InvalidUri;
use axum::http::{Request, Uri, header};
use bytes::Bytes;
use drawspan_hub::{HostName, HubConnectionString, SymmetricKey, sas};
use drawspan_net::{
    ConnectError, Connector, HttpBounds, HttpChannel, HttpClient, HttpError, client_config,
};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

use super::OWNER;
use super::file::{self, FILE};
use super::problem::Problem;
use super::verb::Call;
use crate::ca::CA_FILE;
use crate::limits::{CONTROL_ANSWER_BYTES, CONTROL_CALL_MS, CONTROL_TOKEN_S};

/// Where the emulator is, and how to be let in.
pub(super) struct Target {
    /// Host and port.
    host: String,
    port: u16,
    /// The `Host` header.
    authority: String,
    ca: PathBuf,
    /// A hub, and the key of its owner.
    owner: Option<(HostName, SymmetricKey)>,
    /// For errors: who wrote where it is.
    pid: Option<u32>,
}

/// Why the flags do not say where to go.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoTarget {
    /// A flag's value is wrong.
    #[error("{0}")]
    Flag(String),
    /// The state directory says nothing.
    #[error("{0}")]
    NotRunning(String),
}

/// Why something was not done.
#[derive(Debug, thiserror::Error)]
pub enum NotDone {
    /// There is no emulator.
    #[error("{0}")]
    NoEmulator(String),
    /// The emulator says no.
    #[error("{0}")]
    Refused(String),
}

impl Target {
    /// The emulator that runs with this state directory.
    pub(super) fn of_state(folder: &Path) -> Result<Self, NoTarget> {
        let place = folder.join(FILE);
        let unreadable = |cause: io::Error| {
            NoTarget::NotRunning(format!("cannot read {}: {cause}", place.display()))
        };
        let found = file::read(folder).map_err(unreadable)?.ok_or_else(|| {
            NoTarget::NotRunning(format!(
                "no emulator runs with the state directory {}; start one with --state, or give --url",
                folder.display()
            ))
        })?;
        let damaged =
            |what: &str| NoTarget::NotRunning(format!("{} is damaged: {what}", place.display()));
        let hub = HostName::parse(&found.hub).map_err(|_| damaged("hub"))?;
        let key = SymmetricKey::from_base64(&found.key).map_err(|_| damaged("key"))?;
        let (host, port, authority) = parse(&found.url).map_err(|_| damaged("url"))?;
        Ok(Self {
            host,
            port,
            authority,
            ca: folder.join(CA_FILE),
            owner: Some((hub, key)),
            pid: Some(found.pid),
        })
    }

    /// The emulator at `url`, which trusts `ca` and has the owner's `key`: its connection string, or the key alone for the hub of the
    /// URL's name.
    pub(super) fn of_url(url: &str, ca: &Path, key: Option<&str>) -> Result<Self, NoTarget> {
        let (host, port, authority) =
            parse(url).map_err(|why| NoTarget::Flag(format!("--url: {why}")))?;
        let owner = key.map(|key| owner(key, &host)).transpose();
        let owner = owner.map_err(|why| NoTarget::Flag(format!("--key: {why}")))?;
        Ok(Self {
            host,
            port,
            authority,
            ca: ca.to_path_buf(),
            owner,
            pid: None,
        })
    }

    /// Does a request. Returns the JSON of a good answer.
    pub(super) async fn send(&self, call: &Call) -> Result<Bytes, NotDone> {
        let client = self.client()?;
        let mut request = Request::builder()
            .method(call.method.as_str())
            .uri(&call.target)
            .header(header::HOST, &self.authority);
        if let Some((hub, key)) = &self.owner {
            let token = sas::sign(hub.as_str(), key, now_s() + CONTROL_TOKEN_S, Some(OWNER));
            request = request.header(header::AUTHORIZATION, token);
        }
        if !call.body.is_empty() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        let request = request.body(Bytes::from(call.body.clone()));
        let request = request.map_err(|error| NotDone::Refused(error.to_string()))?;
        let answer = client.send(request, false).await;
        let (head, body) = answer.map_err(|error| self.no_answer(&error))?.into_parts();
        if head.status.is_success() {
            return Ok(body);
        }
        let problem: Option<Problem> = serde_json::from_slice(&body).ok();
        let detail = problem.map_or_else(
            || {
                format!(
                    "{} answered {}: is it an emulator of this version?",
                    self.authority, head.status
                )
            },
            |problem| problem.detail,
        );
        Err(NotDone::Refused(detail))
    }

    fn client(&self) -> Result<HttpClient, NotDone> {
        let place = self.ca.display();
        let unreadable = |error: &dyn std::fmt::Display| {
            NotDone::NoEmulator(format!("cannot read the certificate {place}: {error}"))
        };
        let pem = std::fs::read(&self.ca).map_err(|error| unreadable(&error))?;
        let authorities: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
        let authorities = authorities.map_err(|error| unreadable(&error))?;
        if authorities.is_empty() {
            return Err(unreadable(&"there is none in it"));
        }
        let tls = client_config(authorities).map_err(|error| unreadable(&error))?;
        let channel = HttpChannel::Tls(Connector::new(tls, Vec::new()));
        let bounds = HttpBounds {
            connections: 1,
            time: Duration::from_millis(CONTROL_CALL_MS),
            answer_bytes: CONTROL_ANSWER_BYTES,
        };
        Ok(HttpClient::new(&self.host, self.port, channel, bounds))
    }

    fn no_answer(&self, error: &HttpError) -> NotDone {
        let place = &self.authority;
        let why = match error {
            HttpError::Connect(ConnectError::Tcp { source, .. })
                if source.kind() == io::ErrorKind::ConnectionRefused =>
            {
                let since = self.pid.map(|pid| {
                    format!(" (process {pid}, which listened there, has ended without a word)")
                });
                return NotDone::NoEmulator(format!(
                    "no emulator listens at {place}{}",
                    since.unwrap_or_default()
                ));
            }
            HttpError::Connect(error) => error.to_string(),
            HttpError::TimedOut(_) => "no answer in time".to_owned(),
            HttpError::Broken(_) | HttpError::Body(_) => error.to_string(),
        };
        NotDone::NoEmulator(format!("the emulator at {place} does not answer: {why}"))
    }
}

/// Host, port, and both as they are written.
fn parse(url: &str) -> Result<(String, u16, String), String> {
    let wrong = || format!("`{url}` is not https://HOST[:PORT]");
    let uri: Uri = url.parse().map_err(|_: InvalidUri| wrong())?;
    let authority = uri.authority().ok_or_else(wrong)?;
    let is_bare = uri.path() == "/" && uri.query().is_none();
    if uri.scheme_str() != Some("https") || authority.as_str().contains('@') || !is_bare {
        return Err(wrong());
    }
    let host = authority.host().trim_matches(['[', ']']).to_owned();
    let port = authority.port_u16().unwrap_or(crate::config::HTTPS_PORT);
    Ok((host, port, authority.to_string()))
}

fn owner(key: &str, host: &str) -> Result<(HostName, SymmetricKey), String> {
    if key.contains(';') {
        let owner = HubConnectionString::parse(key).map_err(|error| error.to_string())?;
        if !owner.policy.eq_ignore_ascii_case(OWNER) {
            return Err(format!("the connection string is not that of {OWNER}"));
        }
        return Ok((owner.host, owner.key));
    }
    let key = SymmetricKey::from_base64(key).map_err(|error| error.to_string())?;
    let host = HostName::parse(host).map_err(|_| {
        format!("`{host}` is no hub: give the connection string of {OWNER} instead of its key")
    })?;
    Ok((host, key))
}

/// Tokens are read against the machine's time.
fn now_s() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}
