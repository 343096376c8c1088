//! The rates and the daily quota of a hub: how many operations of each class it takes, and what happens to the others.
//!
//! Rules: Azure article "IoT Hub quotas and throttling". Operations above a rate are first taken for a while (a burst), then
//! delayed so that they pass at the rate, then refused: see [`Shaper`]. Nothing is limited unless a [`RateLimits`] says so.

mod class;
mod quota;
mod rate_limits;
mod setting;
mod shaper;
mod state;
#[cfg(test)]
mod tests;
mod words;

pub use class::{OperationClass, UnknownClass};
pub use quota::Quota;
pub use rate_limits::{ClassLimit, ConnackRefusal, OverQuota, RateLimits};
pub use setting::{InvalidSetting, rate_text};
pub use shaper::{Admission, Refusal, Shape, Shaper};
pub use state::{ClassState, Now, QuotaState, Throttle};
pub use words::InvalidWord;
