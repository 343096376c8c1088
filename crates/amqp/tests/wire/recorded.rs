//! The recorded frames of official clients, see `tests/frames/README.md`.

use std::path::Path;

use bytes::BytesMut;

/// A protocol header or frame.
pub(crate) struct Recorded {
    /// File and line, for messages.
    pub(crate) place: String,
    /// Sent by an official client, not by the stand-in that answered.
    pub(crate) from_client: bool,
    /// Its bytes, the frame header included.
    pub(crate) bytes: BytesMut,
    /// Only its beginning was recorded.
    pub(crate) is_cut: bool,
}

/// All recordings, protocol headers left out.
pub(crate) fn frames() -> Vec<Recorded> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/frames");
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "txt"));
    files.sort();
    let frames: Vec<_> = files.iter().flat_map(|path| frames_of(path)).collect();
    assert!(frames.len() > 1000, "only {} recorded frames", frames.len());
    frames
}

fn frames_of(path: &Path) -> Vec<Recorded> {
    let text = std::fs::read_to_string(path).unwrap();
    let name = path.file_name().unwrap().to_string_lossy();
    let lines = text
        .lines()
        .enumerate()
        .filter(|(_, line)| !line.starts_with('#') && !line.is_empty());
    let frames = lines.map(|(index, line)| {
        let (sender, hex) = line.split_once(' ').unwrap();
        assert!(matches!(sender, "client" | "server"), "{line}");
        Recorded {
            place: format!("{name}:{}", index + 1),
            from_client: sender == "client",
            bytes: bytes(hex.split('…').next().unwrap()),
            is_cut: hex.contains('…'),
        }
    });
    frames
        .filter(|frame| !frame.bytes.starts_with(b"AMQP"))
        .collect()
}

fn bytes(hex: &str) -> BytesMut {
    let digit = |digit: u8| char::from(digit).to_digit(16).unwrap();
    hex.as_bytes()
        .chunks(2)
        .map(|pair| u8::try_from(digit(pair[0]) * 16 + digit(pair[1])).unwrap())
        .collect()
}
