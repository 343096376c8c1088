//! Consumer groups of the event endpoint.

use crate::limits::Limits;

/// The group that every hub has.
pub const DEFAULT_GROUP: &str = "$Default";

/// The consumer groups of a hub, by name without case.
#[derive(Clone, Debug)]
pub struct ConsumerGroups {
    names: Vec<String>,
}

/// A list of consumer groups that cannot be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidGroups {
    /// Too many.
    #[error(
        "{count} consumer groups are too many: a hub has at most {most}, {DEFAULT_GROUP} included"
    )]
    TooMany {
        /// How many there are.
        count: usize,
        /// How many there may be.
        most: usize,
    },
    /// Not a name.
    #[error(
        "`{0}` cannot be a consumer group: 1 to 50 letters, digits, `-`, `_` and `.` are allowed"
    )]
    Name(String),
}

impl ConsumerGroups {
    /// `$Default` and `names`.
    ///
    /// # Errors
    /// When there are too many, or one is not a name.
    pub fn new(names: &[String], limits: &Limits) -> Result<Self, InvalidGroups> {
        let mut groups = Self {
            names: vec![DEFAULT_GROUP.to_owned()],
        };
        for name in names {
            let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
            if groups.find(name).is_some() {
                continue;
            }
            if !(1..=50).contains(&name.len()) || !name.chars().all(allowed) {
                return Err(InvalidGroups::Name(name.clone()));
            }
            groups.names.push(name.clone());
        }
        let (count, most) = (groups.names.len(), limits.consumer_groups);
        if count > most {
            return Err(InvalidGroups::TooMany { count, most });
        }
        Ok(groups)
    }

    /// The group of that name, as it is written.
    pub fn find(&self, name: &str) -> Option<&str> {
        self.names
            .iter()
            .map(String::as_str)
            .find(|known| known.eq_ignore_ascii_case(name))
    }
}
