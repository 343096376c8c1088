//! Storage accounts, by their connection strings.

use thiserror::Error;

use crate::key::{InvalidKey, SymmetricKey};
use crate::limits::CONNECTION_STRING_MAX_CHARS;
use crate::percent_encoding::encode_component;

const AZURE: &str = "core.windows.net";

/// The account that every Azurite has, with its published key.
const DEVELOPMENT: &str = "AccountName=devstoreaccount1;\
    AccountKey=Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==;\
    BlobEndpoint=http://127.0.0.1:10000/devstoreaccount1";

/// A storage account. `Debug` shows no key.
#[derive(Clone, Debug)]
pub struct StorageAccount {
    /// Its name.
    pub name: String,
    /// Its key.
    pub key: SymmetricKey,
    /// Whether its blobs are reached over TLS.
    pub is_secure: bool,
    /// Where its blobs are: host, and port unless it is the usual one.
    pub authority: String,
    /// The path in front of its containers, as Azurite has one; without a slash at its end.
    pub path: String,
}

/// Why a text is not a connection string of a storage account. Holds no key.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum InvalidStorageAccount {
    /// Longer than any connection string.
    #[error("the connection string has more than {CONNECTION_STRING_MAX_CHARS} characters")]
    TooLong,
    /// A part is missing, or empty.
    #[error("the connection string has no {0}")]
    Missing(&'static str),
    /// The key is none.
    #[error("AccountKey: {0}")]
    Key(#[from] InvalidKey),
    /// The blob endpoint is no URL.
    #[error("BlobEndpoint must be an http or https URL, without a query")]
    Endpoint,
}

impl StorageAccount {
    /// Reads a connection string as the Azure portal shows it; `UseDevelopmentStorage=true` means a local Azurite.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, InvalidStorageAccount> {
        if text.len() > CONNECTION_STRING_MAX_CHARS {
            return Err(InvalidStorageAccount::TooLong);
        }
        let part = |of: &str, name: &str| {
            let mut pairs = of.split(';').filter_map(|part| part.split_once('='));
            let found = pairs.find(|(key, _)| key.trim().eq_ignore_ascii_case(name));
            found
                .map(|(_, value)| value.trim().to_owned())
                .filter(|value| !value.is_empty())
        };
        let development = part(text, "UseDevelopmentStorage");
        let text = match development.is_some_and(|it| it.eq_ignore_ascii_case("true")) {
            true => DEVELOPMENT,
            false => text,
        };
        let need = |name| part(text, name).ok_or(InvalidStorageAccount::Missing(name));
        let name = need("AccountName")?;
        let key = SymmetricKey::from_base64(&need("AccountKey")?)?;
        let endpoint = part(text, "BlobEndpoint").unwrap_or_else(|| {
            let protocol = part(text, "DefaultEndpointsProtocol");
            let suffix = part(text, "EndpointSuffix");
            format!(
                "{}://{name}.blob.{}",
                protocol.as_deref().unwrap_or("https"),
                suffix.as_deref().unwrap_or(AZURE)
            )
        });
        let (is_secure, rest) = if let Some(rest) = endpoint.strip_prefix("https://") {
            (true, rest)
        } else if let Some(rest) = endpoint.strip_prefix("http://") {
            (false, rest)
        } else {
            return Err(InvalidStorageAccount::Endpoint);
        };
        let rest = rest.trim_end_matches('/');
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let is_plain = |text: &str| {
            let plain = |byte: u8| byte.is_ascii_graphic() && !b"?#@\\\"<>%".contains(&byte);
            text.bytes().all(plain)
        };
        if authority.is_empty() || !is_plain(authority) || !is_plain(path) {
            return Err(InvalidStorageAccount::Endpoint);
        }
        Ok(Self {
            name,
            key,
            is_secure,
            authority: authority.to_owned(),
            path: path.to_owned(),
        })
    }

    /// What a device is told as host name: clients put it between `https://` and `/{container}/{blob}`.
    #[must_use]
    pub fn host_name(&self) -> String {
        format!("{}{}", self.authority, self.path)
    }

    /// Host and port, for a connection.
    #[must_use]
    pub fn host_and_port(&self) -> (&str, u16) {
        let usual = if self.is_secure { 443 } else { 80 };
        let Some((host, port)) = self.authority.rsplit_once(':') else {
            return (&self.authority, usual);
        };
        match port.parse() {
            Ok(port) => (host, port),
            Err(_) => (&self.authority, usual),
        }
    }

    /// Path of a blob on its host, percent-encoded.
    #[must_use]
    pub fn blob_path(&self, container: &str, blob: &str) -> String {
        format!("{}{}", self.path, blob_path(container, blob))
    }
}

/// Path of a blob, percent-encoded: `/{container}/{blob}`.
#[must_use]
pub fn blob_path(container: &str, blob: &str) -> String {
    let segments: Vec<String> = blob.split('/').map(encode_component).collect();
    format!("/{container}/{}", segments.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connection_strings_of_azure_and_of_azurite() {
        let key = SymmetricKey::from_bytes(&[7; 64]).unwrap().to_base64();
        let text = format!(
            "DefaultEndpointsProtocol=https;AccountName=contoso;AccountKey={key};EndpointSuffix=core.windows.net"
        );
        let azure = StorageAccount::parse(&text).unwrap();
        assert_eq!(azure.host_name(), "contoso.blob.core.windows.net");
        assert_eq!(
            azure.host_and_port(),
            ("contoso.blob.core.windows.net", 443)
        );
        assert_eq!(
            azure.blob_path("c", "device/a ü?"),
            "/c/device/a%20%C3%BC%3F"
        );
        assert!(!format!("{azure:?}").contains(&key));
        let local = StorageAccount::parse("UseDevelopmentStorage=true").unwrap();
        assert_eq!(local.host_name(), "127.0.0.1:10000/devstoreaccount1");
        assert_eq!(
            (local.host_and_port(), local.is_secure),
            (("127.0.0.1", 10000), false)
        );
        assert_eq!(local.blob_path("c", "d/b"), "/devstoreaccount1/c/d/b");
    }

    #[test]
    fn mistakes_are_named_and_show_no_key() {
        let check = |text: &str, expected| {
            assert_eq!(StorageAccount::parse(text).unwrap_err(), expected);
        };
        check("", InvalidStorageAccount::Missing("AccountName"));
        check(
            "AccountName=a",
            InvalidStorageAccount::Missing("AccountKey"),
        );
        let short = InvalidStorageAccount::Key(InvalidKey::Length { bytes: 3 });
        check("AccountName=a;AccountKey=AAAA", short);
        let key = SymmetricKey::from_bytes(&[7; 64]).unwrap().to_base64();
        for endpoint in ["ftp://a", "https://", "https://a?b", "https://user@a"] {
            let text = format!("AccountName=a;AccountKey={key};BlobEndpoint={endpoint}");
            check(&text, InvalidStorageAccount::Endpoint);
        }
        check(
            &"a".repeat(CONNECTION_STRING_MAX_CHARS + 1),
            InvalidStorageAccount::TooLong,
        );
    }
}
