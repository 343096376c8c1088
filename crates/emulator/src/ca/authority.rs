//! Keys and certificates.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use drawspan_hub::HostName;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier as _;
use rustls::crypto::ring::default_provider;
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use time::{Duration, OffsetDateTime};

use crate::server::AnyCertificate;

/// How long the authority is good for.
const CA_DAYS: i64 = 10 * 365;
/// Validity of a server's certificate, which is issued at each start. Some clients refuse more than 398 days.
const LEAF_DAYS: i64 = 397;

/// The authority's key.
#[derive(Debug)]
pub(super) struct Key(KeyPair);

/// A server's certificate and key.
#[derive(Debug)]
pub(super) struct Leaf {
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
}

impl Key {
    /// ECDSA on P-256, which every SDK accepts.
    pub(super) fn generate() -> Result<Self, rcgen::Error> {
        KeyPair::generate().map(Self)
    }

    pub(super) fn from_pem(pem: &str) -> Result<Self, rcgen::Error> {
        KeyPair::from_pem(pem).map(Self)
    }

    pub(super) fn to_pem(&self) -> String {
        self.0.serialize_pem()
    }

    /// The authority's own certificate, PEM.
    pub(super) fn certificate(&self) -> Result<String, rcgen::Error> {
        Ok(self.params()?.self_signed(&self.0)?.pem())
    }

    /// A certificate for `localhost`, the loopback addresses, `bind` and `names`.
    pub(super) fn issue(&self, bind: IpAddr, names: &[HostName]) -> Result<Leaf, rcgen::Error> {
        let mut dns = vec!["localhost"];
        dns.extend(
            names
                .iter()
                .map(HostName::as_str)
                .filter(|name| *name != "localhost"),
        );
        let (addresses, dns): (Vec<_>, Vec<_>) = dns
            .into_iter()
            .partition(|name| name.parse::<IpAddr>().is_ok());
        let mut params =
            CertificateParams::new(dns.into_iter().map(str::to_owned).collect::<Vec<_>>())?;
        let mut addresses: Vec<IpAddr> = addresses
            .into_iter()
            .filter_map(|address| address.parse().ok())
            .collect();
        addresses.extend([
            IpAddr::V4(Ipv4Addr::LOCALHOST),
            IpAddr::V6(Ipv6Addr::LOCALHOST),
        ]);
        if !bind.is_unspecified() {
            addresses.push(bind);
        }
        addresses.sort_unstable();
        addresses.dedup();
        params
            .subject_alt_names
            .extend(addresses.into_iter().map(SanType::IpAddress));
        params
            .distinguished_name
            .push(DnType::CommonName, "Drawspan local IoT hub");
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        set_validity(&mut params, LEAF_DAYS);
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &Issuer::from_params(&self.params()?, &self.0))?;
        Ok(Leaf {
            certificate: certificate.der().clone(),
            key: PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
        })
    }

    /// Depends on nothing but the key, so that the authority can be rebuilt from it. The name differs between
    /// authorities: clients that trust several of one name may check with the wrong one.
    fn params(&self) -> Result<CertificateParams, rcgen::Error> {
        let mut params = CertificateParams::new(Vec::new())?;
        let id = params.key_identifier(&self.0);
        let short: String = id
            .iter()
            .take(4)
            .map(|byte| format!("{byte:02x}"))
            .collect();
        params.distinguished_name.push(
            DnType::CommonName,
            format!("Drawspan local authority {short}"),
        );
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        set_validity(&mut params, CA_DAYS);
        Ok(params)
    }
}

impl Leaf {
    pub(super) fn into_server_config(self) -> Result<ServerConfig, rustls::Error> {
        let provider = Arc::new(default_provider());
        ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[&rustls::version::TLS12, &rustls::version::TLS13])?
            .with_client_cert_verifier(Arc::new(AnyCertificate(provider)))
            .with_single_cert(vec![self.certificate], self.key)
    }
}

/// Whether a client that trusts `ca_pem` accepts `leaf` now.
pub(super) fn check(ca_pem: &str, leaf: &Leaf) -> Result<(), rustls::Error> {
    let unreadable =
        |error: rustls_pki_types::pem::Error| rustls::Error::General(error.to_string());
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(ca_pem.as_bytes()).map_err(unreadable)?)?;
    let verifier =
        WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::new(default_provider()))
            .build()
            .map_err(|error| rustls::Error::General(error.to_string()))?;
    let name = ServerName::from(Ipv4Addr::LOCALHOST);
    verifier
        .verify_server_cert(&leaf.certificate, &[], &name, &[], UnixTime::now())
        .map(drop)
}

fn set_validity(params: &mut CertificateParams, days: i64) {
    let now = OffsetDateTime::now_utc();
    // Clients in containers and virtual machines may be a little behind.
    params.not_before = now - Duration::DAY;
    params.not_after = now + Duration::days(days);
}
