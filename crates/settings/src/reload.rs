//! Settings that can change while the bridge runs.

use drawspan_hub::Keys;

use super::check::Config;
use super::effective::Effective;
use super::settings::{Setting, Spec};
use crate::api_keys::ApiKeys;
use crate::webhook_secret::WebhookSecret;

/// The actions after the configuration was read again.
#[derive(Debug)]
pub struct Reload {
    /// Keys of callers from now on.
    pub api_keys: ApiKeys,
    /// Keys that sign events from now on.
    pub webhook_secrets: Vec<WebhookSecret>,
    /// Keys of devices, group or policy from now on; `None` if they belong to something that only a restart can use.
    pub keys: Option<Keys>,
    /// Settings that have changed and count from now on.
    pub changed: Vec<&'static str>,
    /// Settings that have changed and count after a restart.
    pub needs_restart: Vec<&'static str>,
}

impl Config {
    /// The changes of `new` to the configuration with which the bridge was started. `last` is the one that was in effect most
    /// recently.
    #[must_use]
    pub fn reload(&self, last: &Self, new: &Self) -> Reload {
        let keys = self.profile.reload(&new.profile).ok();
        let takes_effect = |setting: Setting| match setting {
            Setting::ApiKey | Setting::WebhookSecret => true,
            _ => Spec::of(setting).is_some_and(|spec| spec.reload) && keys.is_some(),
        };
        let differing = |from: &[Effective]| {
            let pairs = from.iter().zip(&new.effective);
            let differ = pairs.filter(|(old, new)| old.differs(new));
            differ
                .map(|(_, new)| (new.setting, new.key))
                .collect::<Vec<_>>()
        };
        let keys_of = |settings: Vec<(Setting, &'static str)>, effect: bool| {
            let chosen = settings
                .into_iter()
                .filter(|(setting, _)| takes_effect(*setting) == effect);
            chosen.map(|(_, key)| key).collect()
        };
        Reload {
            changed: keys_of(differing(&last.effective), true),
            needs_restart: keys_of(differing(&self.effective), false),
            api_keys: new.api_keys.clone(),
            webhook_secrets: new.webhooks.secrets.clone(),
            keys,
        }
    }
}
