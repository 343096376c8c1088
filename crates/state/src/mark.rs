//! The count of what was written, in a separate file.
//!
//! A database whose log was deleted, or a segment whose end was truncated, looks like one that never held more. The mark next to
//! it, which is written after each commit, shows the difference. It is never ahead of the commits as long as the machine runs;
//! after a failure of the machine it may be, since neither is flushed to disk each time.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use crate::boot::Boot;
use crate::private;

const HEADING: &str = "drawspan mark 1";
/// Bytes of the one line.
const LINE_BYTES: usize = 15 + 1 + 32 + 1 + 20 + 1 + 20 + 1 + 32 + 1 + 8 + 1;

/// The contents of a mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Said {
    /// Names the data; anything where there is nothing to be confused with.
    pub id: u128,
    /// How much was written, by two measures of the mark's user.
    pub counts: [u64; 2],
    /// When it was said.
    pub boot: Boot,
}

/// The state of the mark's file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recorded {
    /// The file does not exist.
    Nothing,
    /// It was changed by somebody else.
    Damaged,
    /// A mark was read.
    Said(Said),
}

/// An open mark.
#[derive(Debug)]
pub struct Mark {
    path: PathBuf,
    file: File,
    id: u128,
    boot: Boot,
    /// A failure is reported once.
    failed: bool,
}

impl Recorded {
    /// Reads the mark at `path`.
    ///
    /// # Errors
    /// When it is there and cannot be read.
    pub fn read(path: &Path) -> io::Result<Self> {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::Nothing),
            Err(error) => return Err(error),
        };
        let mut bytes = Vec::new();
        file.take(LINE_BYTES as u64 + 1).read_to_end(&mut bytes)?;
        Ok(parse(&bytes).map_or(Self::Damaged, Self::Said))
    }
}

impl Mark {
    /// Creates or opens the mark at `path`, which says `counts` from now on.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn begin(path: &Path, id: u128, counts: [u64; 2]) -> io::Result<Self> {
        let mut options = private::options();
        options.write(true).create(true).truncate(false);
        let file = options.open(path)?;
        private::close_file(path);
        let mut mark = Self {
            path: path.to_path_buf(),
            file,
            id,
            boot: Boot::current(),
            failed: false,
        };
        mark.write(counts)?;
        mark.file.set_len(LINE_BYTES as u64)?;
        mark.file.sync_all()?;
        Ok(mark)
    }

    /// Records how much was written by now. A failure only means that less is detected; it is logged once.
    pub fn say(&mut self, counts: [u64; 2]) {
        if let Err(error) = self.write(counts)
            && !std::mem::replace(&mut self.failed, true)
        {
            tracing::warn!(%error, mark = %self.path.display(), "how much was stored is not marked any more");
        }
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn write(&mut self, counts: [u64; 2]) -> io::Result<()> {
        let line = line(&Said {
            id: self.id,
            counts,
            boot: self.boot,
        });
        write_at_begin(&mut self.file, line.as_bytes())
    }
}

#[cfg(unix)]
fn write_at_begin(file: &mut File, bytes: &[u8]) -> io::Result<()> {
    std::os::unix::fs::FileExt::write_all_at(file, bytes, 0)
}

#[cfg(not(unix))]
fn write_at_begin(file: &mut File, bytes: &[u8]) -> io::Result<()> {
    use std::io::{Seek as _, Write as _};
    file.rewind()?;
    file.write_all(bytes)
}

fn line(said: &Said) -> String {
    let Said { id, counts, boot } = said;
    let [first, second] = counts;
    let text = format!(
        "{HEADING} {id:032x} {first:020} {second:020} {:032x}",
        boot.0
    );
    let check = crc32fast::hash(text.as_bytes());
    format!("{text} {check:08x}\n")
}

fn parse(bytes: &[u8]) -> Option<Said> {
    let text = std::str::from_utf8(bytes).ok()?;
    let rest = text.strip_prefix(HEADING)?;
    let words: Vec<&str> = rest.split_whitespace().collect();
    let [id, first, second, boot, _] = words.as_slice() else {
        return None;
    };
    let said = Said {
        id: u128::from_str_radix(id, 16).ok()?,
        counts: [first.parse().ok()?, second.parse().ok()?],
        boot: Boot(u128::from_str_radix(boot, 16).ok()?),
    };
    (line(&said) == text).then_some(said)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_mark_says_what_was_said_last() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mark");
        assert_eq!(Recorded::read(&path).unwrap(), Recorded::Nothing);
        let mut mark = Mark::begin(&path, u128::MAX, [0, 0]).unwrap();
        mark.say([7, u64::MAX]);
        let said = Said {
            id: u128::MAX,
            counts: [7, u64::MAX],
            boot: Boot::current(),
        };
        assert_eq!(Recorded::read(&path).unwrap(), Recorded::Said(said));
        assert_eq!(fs::metadata(&path).unwrap().len(), LINE_BYTES as u64);
    }

    #[test]
    fn every_change_of_a_byte_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mark");
        drop(Mark::begin(&path, 5, [3, 2]).unwrap());
        let whole = fs::read(&path).unwrap();
        for at in 0..whole.len() {
            let mut changed = whole.clone();
            changed[at] ^= 0x01;
            fs::write(&path, &changed).unwrap();
            assert_eq!(
                Recorded::read(&path).unwrap(),
                Recorded::Damaged,
                "byte {at}"
            );
            fs::write(&path, &whole[..at]).unwrap();
            assert_eq!(
                Recorded::read(&path).unwrap(),
                Recorded::Damaged,
                "cut at {at}"
            );
        }
    }
}
