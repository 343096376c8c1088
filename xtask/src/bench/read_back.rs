//! How many messages the hub holds, by somebody else's word: the unmodified azure-eventhub asks the event endpoint.

use std::path::{Path, PathBuf};

use crate::conformance::clients;
use crate::error::{Error, Result};
use crate::process::{Script, bound_to_us};
use crate::step::timed;
use crate::tools;
use crate::workspace::Workspace;

/// Counts messages, or says why it cannot.
pub(crate) enum Reader {
    /// The interpreter that has the client, and the script.
    Python { python: PathBuf, script: PathBuf },
    /// Its tools are missing here, and were named.
    Missing,
}

/// Where the event endpoint is.
pub(crate) struct Endpoint<'a> {
    /// As the emulator printed it.
    pub(crate) connection_string: &'a str,
    /// Address and port of AMQP.
    pub(crate) address: &'a str,
    /// The emulator's authority.
    pub(crate) ca: &'a Path,
}

impl Reader {
    /// Installs the client if it is not there yet. Without the tools for that nothing is read back, which CI does not take.
    pub(crate) fn find(workspace: &Workspace) -> Result<Self> {
        let missing = tools::missing(tools::CONFORMANCE);
        if missing.is_empty() {
            timed("client that reads back, from PyPI", || {
                clients::install_python(workspace)
            })?;
            return Ok(Self::Python {
                python: workspace.conformance().join("python/bin/python"),
                script: workspace.scripts().join("python/count.py"),
            });
        }
        if workspace.ci {
            return Err(Error::Missing(missing));
        }
        println!("nothing will be read back, because of what is missing here:");
        missing.iter().for_each(|tool| println!("  {tool}"));
        Ok(Self::Missing)
    }

    /// Number of messages that ever reached the hub; `None` when it cannot be read here.
    pub(crate) fn count(
        &self,
        name: &str,
        at: &Endpoint<'_>,
        folder: &Path,
    ) -> Result<Option<u64>> {
        let Self::Python { python, script } = self else {
            return Ok(None);
        };
        let mut command = bound_to_us(python);
        command
            .arg(script)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("EVENT_HUB_CONNECTION_STRING", at.connection_string)
            .env("CA", at.ca)
            .env("AT", at.address);
        let log = Script::start(name, command, folder)?.finish()?;
        let count = log.lines().find_map(|line| line.strip_prefix("total "));
        count
            .and_then(|count| count.trim().parse().ok())
            .map(Some)
            .ok_or_else(|| Error::Unexpected(format!("{name} gave no total:\n{log}")))
    }
}
