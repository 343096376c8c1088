//! The words of `fault`.

use drawspan_emulator_hub::connections::Part;
use drawspan_emulator_hub::faults::Operation;
use drawspan_hub::{ErrorCode, HostName};

use super::body::{FaultList, FaultMade, How, Kind, NewFault};
use crate::control::operation::Method;
use crate::control::verb::{Call, InvalidWords, Usage};
use crate::control::words;

const PATH: &str = "/emulator/faults";

pub(super) const USAGES: &[Usage] = &[
    ("fault", "list the faults that are active"),
    ("fault off [NUMBER]", "lift all of them, or one"),
    (
        "fault drop ID|hub NAME|all [tcp|connection|session]",
        "cut connections: TCP alone (as usual), or with code 400029 over AMQP",
    ),
    (
        "fault refuse OPERATION [ID|hub NAME|all] [DURATION] [code CODE] [share N%]",
        "refuse connects, renewals, d2c, twins, c2d, methods or service (REST requests)",
    ),
    (
        "fault throttle OPERATION [ID|hub NAME|all] [DURATION] [share N%]",
        "refuse them with code 429001",
    ),
    (
        "fault slow d2c|methods|service DELAY [ID|hub NAME|all] [DURATION]",
        "answer them later, by 500ms for instance",
    ),
    (
        "fault stall ID|hub NAME|all [DURATION]",
        "accept nothing from devices, which stay connected",
    ),
    (
        "fault steal ID",
        "end a device's session as if another client had taken it over",
    ),
    (
        "fault detach ID telemetry|c2d|methods|twin",
        "detach AMQP links of a device",
    ),
];

/// The request that the words behind `fault` mean.
pub(super) fn parse(all: &[&str]) -> Result<Call, InvalidWords> {
    let fault = match all {
        [] => {
            let text = |list: &FaultList| list.text("no fault is active");
            return Ok(Call::new(Method::Get, PATH, text));
        }
        ["off", number @ ..] => return off(number),
        ["drop", rest @ ..] => drop(rest)?,
        ["refuse", operation, rest @ ..] => refuse(operation, rest, None)?,
        ["throttle", operation, rest @ ..] => {
            let code = ErrorCode::THROTTLING_EXCEPTION.number();
            refuse(operation, rest, Some(code))?
        }
        ["slow", operation, delay, rest @ ..] => slow(operation, delay, rest)?,
        ["stall", rest @ ..] => {
            let fault = of_kind(Kind::Stall);
            let rest = read(rest, fault, |_, _| Ok(false))?;
            named(rest, true)?
        }
        ["steal", rest @ ..] => {
            let fault = read(rest, of_kind(Kind::Steal), |_, _| Ok(false))?;
            at_once(named(fault, false)?)?
        }
        ["detach", rest @ ..] => {
            let fault = read(rest, of_kind(Kind::Detach), |fault, word| {
                let is_part = word.parse::<Part>().is_ok();
                if is_part {
                    fault.part = Some(word.to_owned());
                }
                Ok(is_part)
            })?;
            if fault.part.is_none() {
                return Err(InvalidWords::new("say which links"));
            }
            at_once(named(fault, false)?)?
        }
        words => return Err(InvalidWords::unknown(words)),
    };
    Ok(Call::new(Method::Post, PATH, made).with_body(&fault))
}

fn made(made: &FaultMade) -> String {
    let FaultMade { number, reached } = made;
    match number {
        Some(number) => format!("fault {number} is active; `fault off {number}` lifts it"),
        None => format!("done: {reached} reached"),
    }
}

fn off(words: &[&str]) -> Result<Call, InvalidWords> {
    let target = match words {
        [] => PATH.to_owned(),
        [number] if number.parse::<u32>().is_ok() => format!("{PATH}?number={number}"),
        words => return Err(InvalidWords::unknown(words)),
    };
    let text = |list: &FaultList| {
        let lines = list.text("");
        match lines.is_empty() {
            true => "no fault was active".to_owned(),
            false => format!("lifted:\n{lines}"),
        }
    };
    Ok(Call::new(Method::Delete, target, text))
}

fn drop(words: &[&str]) -> Result<NewFault, InvalidWords> {
    let fault = read(words, of_kind(Kind::Drop), |fault, word| {
        let how = match word {
            "tcp" => How::Tcp,
            "connection" => How::Connection,
            "session" => How::Session,
            _ => return Ok(false),
        };
        fault.how = Some(how);
        Ok(true)
    })?;
    at_once(named(fault, true)?)
}

fn refuse(name: &str, words: &[&str], code: Option<u32>) -> Result<NewFault, InvalidWords> {
    let operation = operation(name)?;
    let fault = NewFault {
        operation: Some(operation.name().to_owned()),
        code,
        ..of_kind(Kind::Refuse)
    };
    let is_throttle = code.is_some();
    let mut words = words.to_vec();
    let mut code = code;
    if let Some(at) = words.iter().position(|word| *word == "code")
        && !is_throttle
    {
        let given = words.get(at + 1).copied().unwrap_or_default();
        code = Some(code_of(given)?.number());
        words.drain(at..at + 2);
    }
    let fault = NewFault { code, ..fault };
    read(&words, fault, |_, _| Ok(false))
}

fn slow(name: &str, delay: &str, words: &[&str]) -> Result<NewFault, InvalidWords> {
    let operation = operation(name)?;
    if !operation.can_be_slow() {
        return Err(InvalidWords::new(format!(
            "`{name}` cannot be slow; d2c, methods and service can"
        )));
    }
    let fault = NewFault {
        operation: Some(name.to_owned()),
        delay_ms: Some(ms(delay)?),
        ..of_kind(Kind::Slow)
    };
    read(words, fault, |_, _| Ok(false))
}

/// Reads the words that most faults take: whom they mean, how long, and which share. `other` takes further ones.
fn read(
    words: &[&str],
    mut fault: NewFault,
    other: impl Fn(&mut NewFault, &str) -> Result<bool, InvalidWords>,
) -> Result<NewFault, InvalidWords> {
    let mut rest = words.iter();
    let mut is_all = false;
    while let Some(word) = rest.next() {
        let mut next = || {
            let next = rest.next();
            next.ok_or_else(|| InvalidWords::new(format!("`{word}` is not followed by anything")))
        };
        match *word {
            "all" => is_all = true,
            "hub" if fault.hub.is_none() => {
                let name = next()?;
                let host = HostName::parse(name);
                host.map_err(|error| InvalidWords::new(format!("`{name}`: {error}")))?;
                fault.hub = Some((*name).to_owned());
            }
            "device" if fault.device.is_none() => {
                fault.device = Some(words::device(next()?)?.to_string());
            }
            "share" if fault.share.is_none() && fault.kind == Kind::Refuse => {
                fault.share = Some(share(next()?)?);
            }
            word if other(&mut fault, word)? => {}
            word if fault.duration_ms.is_none() && words::is_meant_as_duration(word) => {
                fault.duration_ms = Some(ms(word)?);
            }
            word if fault.device.is_none() => {
                fault.device = Some(words::device(word)?.to_string());
            }
            word => return Err(InvalidWords::unknown(&[word])),
        }
    }
    if is_all && (fault.hub.is_some() || fault.device.is_some()) {
        return Err(InvalidWords::new("`all` and a name exclude each other"));
    }
    if !is_all
        && fault.hub.is_none()
        && fault.device.is_none()
        && matches!(fault.kind, Kind::Drop | Kind::Stall)
    {
        return Err(InvalidWords::new("say whom: a device, a hub, or all"));
    }
    Ok(fault)
}

/// A fault that means a device, or a hub as well.
fn named(fault: NewFault, hub_is_enough: bool) -> Result<NewFault, InvalidWords> {
    match (&fault.device, hub_is_enough) {
        (None, false) => Err(InvalidWords::new("say which device")),
        _ => Ok(fault),
    }
}

/// A fault that happens once.
fn at_once(fault: NewFault) -> Result<NewFault, InvalidWords> {
    match fault.duration_ms {
        Some(_) => Err(InvalidWords::new("it happens once: it has no duration")),
        None => Ok(fault),
    }
}

fn of_kind(kind: Kind) -> NewFault {
    NewFault {
        kind,
        ..NewFault::default()
    }
}

fn operation(name: &str) -> Result<Operation, InvalidWords> {
    Operation::from_name(name).ok_or_else(|| {
        let names = Operation::ALL.map(Operation::name).join(", ");
        InvalidWords::new(format!("`{name}` is no operation; there are: {names}"))
    })
}

fn ms(word: &str) -> Result<u64, InvalidWords> {
    let duration = words::duration(word)?;
    Ok(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}

fn share(word: &str) -> Result<u8, InvalidWords> {
    let percent = word
        .strip_suffix('%')
        .and_then(|digits| digits.parse().ok());
    percent
        .filter(|percent| (1..=100).contains(percent))
        .ok_or_else(|| InvalidWords::new(format!("`{word}` is no share from 1% to 100%")))
}

/// A code of six digits, its name, or the HTTP status alone, which stands for the most usual code of it.
fn code_of(word: &str) -> Result<ErrorCode, InvalidWords> {
    let usual = match word {
        "400" => Some(ErrorCode::ARGUMENT_INVALID),
        "401" => Some(ErrorCode::UNAUTHORIZED),
        "403" => Some(ErrorCode::QUOTA_EXCEEDED),
        "404" => Some(ErrorCode::DEVICE_NOT_FOUND),
        "429" => Some(ErrorCode::THROTTLING_EXCEPTION),
        "500" => Some(ErrorCode::SERVER_ERROR),
        "503" => Some(ErrorCode::SERVICE_UNAVAILABLE),
        "504" => Some(ErrorCode::GATEWAY_TIMEOUT),
        _ => None,
    };
    let number = || word.parse().ok().and_then(ErrorCode::new);
    let code = usual.or_else(number).or_else(|| ErrorCode::from_name(word));
    code.ok_or_else(|| InvalidWords::new(format!("`{word}` is no code of a hub, such as 503001")))
}
