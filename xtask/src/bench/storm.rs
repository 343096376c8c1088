//! A send storm of one device: how much slower do the others become?

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

use serde::Serialize;

use super::plan;
use super::spread::Spread;
use super::stand::{API_KEY, DEVICE_PREFIX, HUB, address, http_address};
use super::table::Unit;
use crate::conformance::environment::ConnectionStrings;
use crate::error::{Error, Result};
use crate::load::{Load, Report};
use crate::process::{Server, bound_to_us};
use crate::workspace::Workspace;

/// Edition and units of the hub, which accepts that many messages per second.
const SKU: &str = "S2";
const UNITS: u32 = 10;
const HUB_RATE: u32 = 1_200;
/// The device that sends too much.
const NOISY: &str = "noisy-";
/// It sends so many times an equal part of the hub's rate.
const TIMES_ITS_SHARE: u32 = 50;
/// It begins so much earlier than the others, so that the hub's rate binds when these begin.
const HEAD_START: Duration = Duration::from_secs(2);

/// What was measured.
#[derive(Serialize)]
pub(crate) struct Storms {
    pub(crate) devices: u32,
    /// Messages per second of these devices together.
    pub(crate) rate: u32,
    /// Messages per second of the device that sends too much.
    pub(crate) noisy_rate: u32,
    pub(crate) pairs: Vec<Pair>,
}

/// Two loads, one after the other.
#[derive(Serialize)]
pub(crate) struct Pair {
    /// The devices alone.
    pub(crate) calm: Report,
    /// The devices during the storm.
    pub(crate) stormy: Report,
    /// The device that sends too much.
    pub(crate) noisy: Report,
}

/// Measures all of it.
pub(crate) fn measure(workspace: &Workspace, plan: &plan::Storm, folder: &Path) -> Result<Storms> {
    let rate = HUB_RATE * plan.load_percent / 100;
    let noisy_rate = TIMES_ITS_SHARE * HUB_RATE / plan.devices;
    println!(
        "   {} devices send {rate}/s at a hub of {HUB_RATE}/s, then beside one that sends {noisy_rate}/s",
        plan.devices
    );
    let stand = Stand::start(workspace, plan.devices, folder)?;
    let others = |name: &str| stand.load(name, DEVICE_PREFIX, plan.devices, rate, plan.seconds);
    others("connect")?.finish()?.all_ok("connecting")?;
    let mut pairs = Vec::new();
    for number in 1..=plan.pairs {
        let calm = others(&format!("calm-{number}"))?.finish()?;
        calm.all_ok("the devices alone")?;
        let seconds = plan.seconds + 2 * HEAD_START.as_secs() as u32;
        let noisy = stand.load(&format!("noisy-{number}"), NOISY, 1, noisy_rate, seconds)?;
        sleep(HEAD_START);
        let stormy = others(&format!("stormy-{number}"))?.finish()?;
        stormy.all_ok("the devices during the storm")?;
        let noisy = noisy.finish()?;
        noisy.all_answered("the device that sends too much")?;
        let pair = Pair {
            calm,
            stormy,
            noisy,
        };
        println!("   pair {number} of {}: {}", plan.pairs, pair.line());
        pairs.push(pair);
    }
    stand.end()?;
    Ok(Storms {
        devices: plan.devices,
        rate,
        noisy_rate,
        pairs,
    })
}

/// The results as Markdown.
pub(crate) fn table(storms: &Storms) -> String {
    let mut text = format!(
        "{} devices send {} messages per second at a hub of {HUB_RATE}/s, alone and beside one device that tries {}/s:\n\n\
         | | alone | during the storm | floor |\n|---|---|---|---|\n",
        storms.devices, storms.rate, storms.noisy_rate
    );
    let ms = |figure: &dyn Fn(&Pair) -> u64| {
        Unit::Ms.spread(Spread::of(
            storms.pairs.iter().map(|pair| figure(pair) as f64 / 1e3),
        ))
    };
    let calm = ms(&|pair| pair.calm.latency_us.p99);
    let stormy = ms(&|pair| pair.stormy.latency_us.p99);
    // Writing into a text does not fail.
    let _ = writeln!(text, "| p99 | {calm} | {stormy} | |");
    let slowed = Unit::Ratio.spread(storms.slowed());
    let floor = plan::FLOOR_STORM;
    let _ = writeln!(text, "| p99, pair by pair | 1 | {slowed} | < {floor:.2} |");
    text
}

impl Storms {
    /// How many times as long 99 of 100 messages of the others take during the storm.
    fn slowed(&self) -> Spread {
        Spread::of(self.pairs.iter().map(Pair::slowed))
    }
}

impl Pair {
    fn slowed(&self) -> f64 {
        self.stormy.latency_us.p99 as f64 / self.calm.latency_us.p99.max(1) as f64
    }

    fn line(&self) -> String {
        let ms = |report: &Report| report.latency_us.p99 as f64 / 1e3;
        format!(
            "p99 {:.2} ms alone, {:.2} ms during the storm ({:.2}), of which {:.0}/s were accepted",
            ms(&self.calm),
            ms(&self.stormy),
            self.slowed(),
            self.noisy.ok_per_s
        )
    }
}

/// A hub with limits, and a bridge that knows them.
struct Stand<'a> {
    workspace: &'a Workspace,
    folder: PathBuf,
    emulator: Server,
    bridge: Server,
    bridge_address: String,
}

impl<'a> Stand<'a> {
    fn start(workspace: &'a Workspace, devices: u32, folder: &Path) -> Result<Self> {
        let folder = folder.join("storm");
        fs::create_dir_all(&folder).map_err(Error::io("making", &folder))?;
        let state = folder.join("state");
        let mut command = bound_to_us(workspace.program("drawspan"));
        command
            .args(["emulator", "--hub", HUB, "--bind", "127.0.0.1"])
            .args(["--amqps-port", "0", "--https-port", "0"])
            .args(["--sku", SKU, "--units", &UNITS.to_string()])
            .args(["--device", &format!("{DEVICE_PREFIX}[1-{devices}]")])
            .args(["--device", &format!("{NOISY}1")])
            .arg("--state")
            .arg(&state);
        let (emulator, said) = Server::start("emulator", command, &folder)?;
        let hub = ConnectionStrings::parse(&said)?.hub;
        let amqps = address(&said, "amqps")?;
        let mut command = bound_to_us(workspace.program("drawspan"));
        command
            .args(["serve", "--listen", "127.0.0.1:0", "--api-key", API_KEY])
            .args(["--hub-size", &format!("{SKU}x{UNITS}"), "--ca"])
            .arg(state.join("ca.pem"))
            .args(["--connect", &format!("{HUB}:5671={amqps}")])
            .args(["--hub-connection-string", &hub]);
        let (bridge, said) = Server::start("bridge", command, &folder)?;
        Ok(Self {
            workspace,
            folder,
            emulator,
            bridge,
            bridge_address: http_address(&said)?,
        })
    }

    fn load(
        &self,
        name: &str,
        prefix: &str,
        devices: u32,
        rate: u32,
        seconds: u32,
    ) -> Result<Load> {
        let flags = [
            ("device-prefix", prefix.to_owned()),
            ("devices", devices.to_string()),
            ("rate", rate.to_string()),
            ("duration", seconds.to_string()),
            ("connections", "128".to_owned()),
        ];
        let flags: Vec<_> = flags
            .into_iter()
            .flat_map(|(name, value)| [format!("--{name}"), value])
            .collect();
        Load::start(
            self.workspace,
            name,
            &self.bridge_address,
            API_KEY,
            &flags,
            &self.folder,
        )
    }

    fn end(mut self) -> Result<()> {
        self.emulator.check()?;
        self.bridge.check()
    }
}
