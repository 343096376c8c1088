//! The key ring's file: lines that a person can read, copy and restore.
//!
//! ```text
//! drawspan key ring 1
//! current 2
//! key 1 2026-11-22T10:20:30.0000000Z <32 bytes in base64> <fingerprint in hex>
//! key 2 …
//! ```

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use drawspan_hub::UtcTime;
use secrecy::{ExposeSecret as _, SecretBox, SecretString};
use thiserror::Error;

use super::{KEY_BYTES, Key, KeyRing};
use crate::limits::{MAX_KEY_RING_BYTES, MAX_KEYS};

const HEADING: &str = "drawspan key ring ";
const FORMAT: &str = "1";
const NOTE: &str = "# Whoever has this file reads what the store encrypts. Keep a copy, apart from the store's backups.";

/// Why a file is no key ring. Never repeats its content.
#[derive(Debug, Error)]
pub enum KeyRingError {
    /// It cannot be read or written.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// Too large to be one.
    #[error("it is over {MAX_KEY_RING_BYTES} bytes")]
    TooLarge,
    /// It does not begin as one.
    #[error("it does not begin with `{HEADING}{FORMAT}`")]
    Foreign,
    /// A line of it says nothing that is known.
    #[error("line {0} is damaged")]
    Line(usize),
    /// A number is there twice, or there are too many.
    #[error("line {0}: a key of that number is there already, or there are over {MAX_KEYS}")]
    Surplus(usize),
    /// The key's line is not what was written.
    #[error("line {line}: key {version} is damaged: it does not go with its fingerprint")]
    Fingerprint {
        /// Of the file.
        line: usize,
        /// Number of the key.
        version: u32,
    },
    /// No current key.
    #[error("it does not say which key is the current one, or that key is not there")]
    NoCurrent,
}

impl KeyRing {
    /// `None` when there is no such file.
    pub(crate) fn read(path: &Path) -> Result<Option<Self>, KeyRingError> {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let mut bytes = Vec::new();
        file.take(MAX_KEY_RING_BYTES as u64 + 1)
            .read_to_end(&mut bytes)?;
        if bytes.len() > MAX_KEY_RING_BYTES {
            return Err(KeyRingError::TooLarge);
        }
        let text = String::from_utf8(bytes).map_err(|_| KeyRingError::Foreign)?;
        Self::parse(SecretString::from(text).expose_secret()).map(Some)
    }

    /// Reads the text of a file.
    pub(crate) fn parse(text: &str) -> Result<Self, KeyRingError> {
        let mut lines = text.lines().zip(1..);
        let heading = lines.next().map(|(line, _)| line.trim_end());
        if heading.and_then(|line| line.strip_prefix(HEADING)) != Some(FORMAT) {
            return Err(KeyRingError::Foreign);
        }
        let mut current = None;
        let mut ring = Self {
            current: 0,
            keys: std::collections::BTreeMap::new(),
        };
        for (line, number) in lines {
            let words: Vec<&str> = line.split_whitespace().collect();
            match words.as_slice() {
                [] => {}
                [note, ..] if note.starts_with('#') => {}
                ["current", version] if current.is_none() => {
                    current = Some(version_of(version).ok_or(KeyRingError::Line(number))?);
                }
                ["key", words @ ..] => ring.take(words, number)?,
                _ => return Err(KeyRingError::Line(number)),
            }
        }
        let current = current.filter(|version| ring.get(*version).is_some());
        ring.current = current.ok_or(KeyRingError::NoCurrent)?;
        Ok(ring)
    }

    fn take(&mut self, words: &[&str], line: usize) -> Result<(), KeyRingError> {
        let damaged = || KeyRingError::Line(line);
        let [version, created_at, secret, fingerprint] = words else {
            return Err(damaged());
        };
        let version = version_of(version).ok_or_else(damaged)?;
        let created_at = UtcTime::parse(created_at).map_err(|_| damaged())?;
        let mut bytes = SecretBox::new(Box::new([0; KEY_BYTES]));
        let room: &mut [u8; KEY_BYTES] = secrecy::ExposeSecretMut::expose_secret_mut(&mut bytes);
        let length = STANDARD.decode_slice(secret, room).map_err(|_| damaged())?;
        if length != KEY_BYTES {
            return Err(damaged());
        }
        let key = Key::new(created_at, bytes);
        if key.fingerprint.to_string() != *fingerprint {
            return Err(KeyRingError::Fingerprint { line, version });
        }
        if self.keys.len() >= MAX_KEYS || self.keys.insert(version, key).is_some() {
            return Err(KeyRingError::Surplus(line));
        }
        Ok(())
    }

    /// The text of a file.
    pub(crate) fn text(&self) -> SecretString {
        let mut text = format!("{HEADING}{FORMAT}\n{NOTE}\ncurrent {}\n", self.current);
        for (version, key) in &self.keys {
            let secret = SecretString::from(STANDARD.encode(key.secret.expose_secret()));
            text.push_str(&format!(
                "key {version} {} {} {}\n",
                key.created_at,
                secret.expose_secret(),
                key.fingerprint
            ));
        }
        text.into()
    }

    /// Replaces the file, for its owner only: after a crash it is either the old one or the new one, whole and on disk.
    pub(crate) fn write(&self, path: &Path) -> io::Result<()> {
        let aside = aside(path);
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        match fs::remove_file(&aside) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            // The leftover of a process that was killed here is removed.
            _ => {}
        }
        let mut file = options.open(&aside)?;
        file.write_all(self.text().expose_secret().as_bytes())?;
        file.sync_all()?;
        fs::rename(&aside, path)?;
        crate::files::sync_folder_of(path)
    }
}

fn version_of(word: &str) -> Option<u32> {
    let digits = word.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| word.parse().ok()).flatten()
}

fn aside(path: &Path) -> PathBuf {
    crate::files::beside(path, ".new")
}
