//! Which programs this machine has, and how to get those that it lacks.

use std::process::{Command, Stdio};

/// A program that a step needs.
pub(crate) struct Tool {
    /// What it is called in messages.
    pub(crate) name: &'static str,
    /// A command that succeeds exactly when it is there and good enough.
    probe: &'static [&'static str],
    /// How to get it.
    hint: &'static str,
}

/// What installing the conformance clients and entering the namespace takes.
pub(crate) const CONFORMANCE: &[Tool] = &[
    Tool {
        name: "node, 20 or later",
        probe: &[
            "node",
            "-e",
            "process.exit(Number(process.versions.node.split('.')[0]) >= 20 ? 0 : 1)",
        ],
        hint: "nodejs.org, or your system's package nodejs",
    },
    Tool {
        name: "npm",
        probe: &["npm", "--version"],
        hint: "comes with node, or your system's package npm",
    },
    Tool {
        name: "python3, 3.9 or later, with venv",
        probe: &[
            "python3",
            "-c",
            "import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 9))",
        ],
        hint: "your system's packages python3 and python3-venv",
    },
    Tool {
        name: "python3 headers",
        probe: &[
            "python3",
            "-c",
            "import os, sys, sysconfig; sys.exit(not os.path.exists(os.path.join(sysconfig.get_paths()['include'], 'Python.h')))",
        ],
        hint: "your system's package python3-dev; Proton is built from source",
    },
    Tool {
        name: "cc",
        probe: &["cc", "--version"],
        hint: "your system's package gcc or clang; Proton is built from source",
    },
    Tool {
        name: "unshare",
        probe: &["unshare", "--version"],
        hint: "your system's package util-linux; Linux only",
    },
    Tool {
        name: "setpriv",
        probe: &["setpriv", "--version"],
        hint: "your system's package util-linux; Linux only",
    },
    Tool {
        name: "mount",
        probe: &["mount", "--version"],
        hint: "your system's package mount or util-linux; Linux only",
    },
    Tool {
        name: "ip",
        probe: &["ip", "-V"],
        hint: "your system's package iproute2; Linux only",
    },
];

/// What the scenario of mosquitto's programs takes.
pub(crate) const MOSQUITTO: &[Tool] = &[Tool {
    name: "mosquitto_pub and mosquitto_sub",
    probe: &[
        "sh",
        "-c",
        "command -v mosquitto_pub && command -v mosquitto_sub",
    ],
    hint: "your system's package mosquitto-clients",
}];

/// What uAMQP takes, which has no package for other processors.
pub(crate) const UAMQP: &[Tool] = &[Tool {
    name: "an x86-64 processor",
    probe: &["sh", "-c", "test \"$(uname -m)\" = x86_64"],
    hint: "another machine",
}];

/// Those of `tools` that are missing, each as a line for a message.
pub(crate) fn missing(tools: &[Tool]) -> Vec<String> {
    tools
        .iter()
        .filter(|tool| !succeeds(tool.probe))
        .map(|tool| format!("{}: {}", tool.name, tool.hint))
        .collect()
}

/// Whether a command exists and succeeds.
pub(crate) fn succeeds(command: &[&str]) -> bool {
    let Some((program, arguments)) = command.split_first() else {
        return false;
    };
    Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_tool_is_named_with_its_source() {
        let tools = [
            Tool {
                name: "true",
                probe: &["true"],
                hint: "everywhere",
            },
            Tool {
                name: "too old",
                probe: &["false"],
                hint: "a newer one",
            },
            Tool {
                name: "absent",
                probe: &["no-such-program-here"],
                hint: "from somewhere",
            },
        ];
        assert_eq!(
            missing(&tools),
            ["too old: a newer one", "absent: from somewhere"]
        );
    }
}
