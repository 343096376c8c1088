//! What a scenario is made of.

use super::commands_kill::CommandsKill;
use super::fleet::Fleet;
use super::outage::Outage;
use super::soak::Soak;

/// One thing that somebody else's program must find to be so.
pub(crate) struct Scenario {
    /// What it is called on the command line.
    pub(crate) name: &'static str,
    /// What it shows, in one line.
    pub(crate) about: &'static str,
    /// Started in this order, and fresh for every scenario.
    pub(crate) servers: &'static [Server],
    /// Happens before the scripts.
    pub(crate) drive: Option<Drive>,
    /// Run in this order; all must succeed.
    pub(crate) scripts: &'static [Program],
}

/// A process that serves.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Server {
    /// `drawspan emulator` with standard ports.
    Emulator,
    /// None that lasts: scripts start the emulator and bridges by themselves, kill them and start them again.
    ByScripts,
    /// `drawspan serve` with the hub's policy.
    Bridge,
    /// `drawspan serve` with the key of the emulator's enrollment group.
    BridgeByDps,
    /// The listening side of the peer protocol.
    Mirror(Program),
}

/// A program of a scenario.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Program {
    /// A file of `conformance/node`, and its arguments.
    Node(&'static str, &'static [&'static str]),
    /// A file of `conformance/python`, and its arguments.
    Python(&'static str, &'static [&'static str]),
    /// The engine's own side of the peer protocol (`crates/net/examples/peer`), and its arguments.
    Engine(&'static [&'static str]),
}

/// What is done to the servers of a scenario.
pub(crate) enum Drive {
    /// The emulator dies and comes back.
    Outage(Outage),
    /// Devices register, the bridge dies and comes back, then the emulator.
    Fleet(Fleet),
    /// The bridge dies and comes back under messages and methods to devices.
    CommandsKill(CommandsKill),
    /// Everything that can go wrong does so at once, for long.
    Soak(Soak),
}

impl Scenario {
    /// Whether `drawspan` itself must be built. A scenario without servers starts it by itself.
    pub(crate) fn runs_product(&self) -> bool {
        self.servers.is_empty()
            || self
                .servers
                .iter()
                .any(|server| !matches!(server, Server::Mirror(_)))
    }

    /// Whether the engine's peer must be built.
    pub(crate) fn runs_engine(&self) -> bool {
        let is_engine = |program: &Program| matches!(program, Program::Engine(_));
        self.scripts.iter().any(is_engine)
            || self
                .servers
                .iter()
                .any(|server| matches!(server, Server::Mirror(program) if is_engine(program)))
    }
}
