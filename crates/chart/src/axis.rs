//! Axes, moments on them, and numbers beside them.

use crate::error::ChartError;

/// An axis.
#[derive(Clone, Debug)]
pub struct Axis {
    /// What it measures, with its unit.
    pub label: String,
    /// Its first value.
    pub from: f64,
    /// Its last value.
    pub to: f64,
}

/// A moment.
#[derive(Clone, Debug)]
pub struct Mark {
    /// Where on the axis from left to right.
    pub at: f64,
    /// What happens then.
    pub label: String,
}

impl Axis {
    /// An axis from 0.
    pub fn to(label: &str, to: f64) -> Self {
        Self {
            label: label.to_owned(),
            from: 0.0,
            to,
        }
    }

    pub(crate) fn check(&self) -> Result<(), ChartError> {
        let is_long = self.from.is_finite() && self.to.is_finite() && self.from < self.to;
        match is_long {
            true => Ok(()),
            false => Err(ChartError::NoLength(self.label.clone())),
        }
    }
}

/// A number as people read it: no digits that say nothing, thousands apart.
pub fn number(value: f64) -> String {
    if value.fract() != 0.0 {
        return format!("{value:.1}");
    }
    let digits = format!("{:.0}", value.abs());
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    match value < 0.0 {
        true => format!("-{text}"),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        let texts = [0.0, 12.0, 1_000.0, 1_234_567.0, -4_500.0, 0.25].map(number);
        assert_eq!(texts, ["0", "12", "1,000", "1,234,567", "-4,500", "0.2"]);
    }
}
