//! `drawspan emulator cert`: certificates to try the emulator with.

mod issue;

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use clap::{ArgGroup, Args, Subcommand};
use drawspan_hub_model::x509::{Certificate, InvalidCertificate};
use drawspan_state::private;

use crate::ca::{CA_FILE, KEY_FILE};
use issue::{Made, Signer};

/// Longest validity that is given, and longest time since it ended, days.
const DAYS_MAX: i64 = 3_650;

const EXAMPLES: &str = "\
Examples:
  A device of an emulator that keeps its state, by its authority:
    drawspan emulator --state ./emulator --x509-device sensor-2
    drawspan emulator cert device sensor-2 --state ./emulator

  A device that the emulator knows by its thumbprint, which is printed:
    drawspan emulator cert device sensor-3 --self-signed
    drawspan emulator --x509-device sensor-3=THUMBPRINT

  A device that registers at the provisioning service:
    drawspan emulator --state ./emulator --x509-enrollment-group cars
    drawspan emulator cert device car-1 --state ./emulator

  A module, which an authority or its thumbprint vouches for as for a device:
    drawspan emulator cert device sensor-2/meter --state ./emulator

  An authority of your own, and a device whose certificate has expired:
    drawspan emulator cert authority 'My devices'
    drawspan emulator --x509-ca 'My devices.pem' --x509-device old-1
    drawspan emulator cert device old-1 --ca 'My devices.pem' \\
      --ca-key 'My devices-key.pem' --days -1";

/// What certificate is to be made.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum CertCommand {
    /// Make a device's certificate and key: ID.pem and ID-key.pem
    Device(DeviceArgs),
    /// Make an authority's certificate and key: NAME.pem and NAME-key.pem
    Authority(AuthorityArgs),
}

/// The flags of `cert device`.
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES, group = ArgGroup::new("signer").required(true).args(["state", "ca", "self_signed"]))]
pub(crate) struct DeviceArgs {
    /// Device id, DEVICE/MODULE, registration id or verification code; becomes the common name
    #[arg(value_name = "ID")]
    id: String,
    /// Folder of the emulator whose authority is to sign; it was started with it before
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// PEM file of the authority that is to sign
    #[arg(long, value_name = "FILE", requires = "ca_key")]
    ca: Option<PathBuf>,
    /// PEM file of that authority's key
    #[arg(long, value_name = "FILE", requires = "ca")]
    ca_key: Option<PathBuf>,
    /// Let the certificate sign itself: the device is known by its thumbprint
    #[arg(long)]
    self_signed: bool,
    #[command(flatten)]
    made: MadeArgs,
}

/// The flags of `cert authority`.
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct AuthorityArgs {
    /// Common name
    #[arg(value_name = "NAME")]
    name: String,
    #[command(flatten)]
    made: MadeArgs,
}

/// Flags of both.
#[derive(Args, Clone, Debug)]
struct MadeArgs {
    /// Days until it expires; with a negative number it expired so many days ago
    #[arg(long, value_name = "DAYS", default_value_t = 365, allow_negative_numbers = true,
          value_parser = clap::value_parser!(i64).range(-DAYS_MAX..=DAYS_MAX))]
    days: i64,
    /// Folder to write the two files to; files that are there are not replaced
    #[arg(long, value_name = "DIR", default_value = ".")]
    out: PathBuf,
}

/// Why no certificate was made.
#[derive(Debug, thiserror::Error)]
pub enum CertError {
    /// A file cannot be read or written.
    #[error("cannot {doing} {}: {cause}", path.display())]
    Io {
        /// The operation.
        doing: &'static str,
        /// On which file.
        path: PathBuf,
        /// The system's error.
        #[source]
        cause: std::io::Error,
    },
    /// No emulator was started with the folder.
    #[error(
        "there is no authority in {}: start `drawspan emulator --state {}` once, which makes it",
        .0.display(), .0.display()
    )]
    NoAuthority(PathBuf),
    /// A name that makes no file name.
    #[error("'{0}' cannot name a file")]
    Name(String),
    /// The authority's certificate is none.
    #[error("{}: {cause}", path.display())]
    Invalid {
        /// Its file.
        path: PathBuf,
        /// What is wrong.
        #[source]
        cause: InvalidCertificate,
    },
    /// The authority cannot sign.
    #[error("the authority in {} cannot sign: {cause}", path.display())]
    Signer {
        /// The file of its certificate.
        path: PathBuf,
        /// The certificate library's error.
        #[source]
        cause: rcgen::Error,
    },
    /// The authority's key is another one's.
    #[error("{} has expired, is no authority's certificate, or its key is another one", .0.display())]
    OtherKey(PathBuf),
    /// The certificate cannot be made.
    #[error("cannot make the certificate: {0}")]
    Make(#[source] rcgen::Error),
}

/// Makes what is asked for. Returns what to print.
///
/// # Errors
/// When it cannot be made or written.
pub(crate) fn run(command: &CertCommand) -> Result<String, CertError> {
    match command {
        CertCommand::Device(args) => device(args),
        CertCommand::Authority(args) => authority(args),
    }
}

fn device(args: &DeviceArgs) -> Result<String, CertError> {
    // A file name has no slash.
    let files = Files::new(&args.made.out, &args.id.replacen('/', "-", 1))?;
    let days = args.made.days;
    let is_module = args.id.contains('/');
    let (made, advice) = match args.signer()? {
        None => {
            let made = issue::self_signed(&args.id, days).map_err(CertError::Make)?;
            let thumbprint = made.certificate.sha256_thumbprint();
            let advice = match is_module {
                true => "The hub knows the module by its thumbprint: create it with authentication.type selfSigned.\n".to_owned(),
                false => format!(
                    "The emulator knows the device by its thumbprint:\n  drawspan emulator --x509-device {}={thumbprint}\n",
                    quoted(&args.id)
                ),
            };
            (made, advice)
        }
        Some((signer, emulator)) => {
            let made = signer.issue(&args.id, days).map_err(CertError::Make)?;
            let advice = match is_module {
                true => "The hub knows the module by this authority: create it with authentication.type certificateAuthority.\n".to_owned(),
                false => format!(
                    "The emulator knows the device by this authority:\n  drawspan emulator {emulator} --x509-device {}\n",
                    quoted(&args.id)
                ),
            };
            (made, advice)
        }
    };
    files.write(&made)?;
    Ok(format!("{}\n{advice}", files.describe(&made)))
}

fn authority(args: &AuthorityArgs) -> Result<String, CertError> {
    let files = Files::new(&args.made.out, &args.name)?;
    let made = issue::authority(&args.name, args.made.days).map_err(CertError::Make)?;
    files.write(&made)?;
    let ca = quoted(&files.certificate.display().to_string());
    let key = quoted(&files.key.display().to_string());
    Ok(format!(
        "{}\nThe emulator trusts the devices whose certificates it signs:\n  drawspan emulator --x509-ca {ca} --x509-device ID\n  \
         drawspan emulator cert device ID --ca {ca} --ca-key {key}\n",
        files.describe(&made)
    ))
}

impl DeviceArgs {
    /// The authority that signs, and the flags by which an emulator knows it; `None` if the device signs for itself.
    fn signer(&self) -> Result<Option<(Signer, String)>, CertError> {
        if let Some(folder) = &self.state {
            let (certificate, key) = (folder.join(CA_FILE), folder.join(KEY_FILE));
            if !key.exists() {
                return Err(CertError::NoAuthority(folder.clone()));
            }
            let flags = format!("--state {}", quoted(&folder.display().to_string()));
            return Ok(Some((signer(&certificate, &key)?, flags)));
        }
        let (Some(certificate), Some(key)) = (&self.ca, &self.ca_key) else {
            return Ok(None);
        };
        let flags = format!("--x509-ca {}", quoted(&certificate.display().to_string()));
        Ok(Some((signer(certificate, key)?, flags)))
    }
}

fn signer(certificate: &Path, key: &Path) -> Result<Signer, CertError> {
    let read = |path: &Path| fs::read_to_string(path).map_err(io("read", path));
    let (pem, key) = (read(certificate)?, read(key)?);
    let own = Certificate::from_text(&pem).map_err(|cause| CertError::Invalid {
        path: certificate.to_path_buf(),
        cause,
    })?;
    let signer = Signer::new(&pem, &key).map_err(|cause| CertError::Signer {
        path: certificate.to_path_buf(),
        cause,
    })?;
    let signs = signer.signs_for(&own).map_err(CertError::Make)?;
    match signs {
        true => Ok(signer),
        false => Err(CertError::OtherKey(certificate.to_path_buf())),
    }
}

/// The two files of a certificate.
struct Files {
    certificate: PathBuf,
    key: PathBuf,
}

impl Files {
    fn new(folder: &Path, name: &str) -> Result<Self, CertError> {
        let is_plain = !name.is_empty() && !name.contains(['/', '\\', '\0']);
        if !is_plain {
            return Err(CertError::Name(name.to_owned()));
        }
        let folder = folder.strip_prefix(".").unwrap_or(folder);
        Ok(Self {
            certificate: folder.join(format!("{name}.pem")),
            key: folder.join(format!("{name}-key.pem")),
        })
    }

    /// The key is for its owner's eyes alone.
    fn write(&self, made: &Made) -> Result<(), CertError> {
        let write = |path: &Path, options: &mut OpenOptions, text: &str| {
            let file = options.write(true).create_new(true).open(path);
            let mut file = file.map_err(io("create", path))?;
            file.write_all(text.as_bytes()).map_err(io("write", path))
        };
        write(
            &self.certificate,
            &mut OpenOptions::new(),
            &made.certificate_pem,
        )?;
        write(&self.key, &mut private::options(), &made.key_pem)
    }

    fn describe(&self, made: &Made) -> String {
        format!(
            "certificate  {}\nkey          {}\nSHA-1        {}\nSHA-256      {}\n",
            self.certificate.display(),
            self.key.display(),
            made.certificate.sha1_thumbprint(),
            made.certificate.sha256_thumbprint(),
        )
    }
}

fn io(doing: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> CertError {
    let path = path.to_path_buf();
    move |cause| CertError::Io { doing, path, cause }
}

/// A word for a shell.
fn quoted(text: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._/:=@%+,".contains(&byte);
    match text.bytes().all(is_plain) {
        true => text.to_owned(),
        false => format!("'{}'", text.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests;
