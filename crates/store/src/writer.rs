//! The writing thread.

use std::collections::HashSet;
use std::sync::Arc;

use drawspan_hub::DeviceId;
use drawspan_state::{Mark, sqlite, sums};
use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::mpsc::error::TryRecvError;
use tokio::sync::{mpsc, oneshot};

use crate::change::{Change, apply, bound_letters};
use crate::database::dead_letters::{self, Totals};
use crate::database::rekey::Rekey;
use crate::database::{self, SUMMED, Stored, Sync, hub_cache, idempotency, keys};
use crate::error::StoreError;
use crate::health::StoreHealth;
use crate::key_rotation::ring_that_seals;
use crate::keyring::{Keys, Stamp};
use crate::limits::{
    DEAD_LETTERS_WAITING_BYTES, IDEMPOTENCY_SWEEP_GROUP, MAX_DEAD_LETTERS, MAX_DEAD_LETTERS_BYTES,
    MAX_IDEMPOTENCY_KEYS, STORE_GROUP,
};
use crate::loss_counter::Loss;
use crate::watch::Watch;

/// The waiter for a change, which gets the number of changed rows.
pub(crate) type Waiter = oneshot::Sender<Result<usize, StoreError>>;

#[derive(Debug)]
pub(crate) enum Job {
    Change(Change, Option<Waiter>),
    Collect {
        before_unix_s: u64,
        keep: HashSet<DeviceId>,
        done: Waiter,
    },
    /// The key ring's file may have changed, or rows have older keys.
    Keys,
    /// Answers from before are over.
    Sweep {
        before_unix_s: u64,
    },
    /// The log must be merged into the database.
    Fold,
    /// Whether anything can be written.
    Probe,
}

/// How much was committed, and who is to know.
#[derive(Debug)]
pub(crate) struct Commits {
    pub(crate) mark: Mark,
    pub(crate) stored: Stored,
    pub(crate) health: StoreHealth,
    pub(crate) watch: Arc<Watch>,
}

/// Lost entries, by the consequence.
#[derive(Debug)]
pub(crate) struct Losses {
    pub(crate) hubs: Arc<Loss>,
    pub(crate) letters: Arc<Loss>,
    pub(crate) dropped: Arc<Loss>,
    pub(crate) desired: Arc<Loss>,
}

impl Default for Losses {
    fn default() -> Self {
        Self {
            hubs: Loss::new(
                "hubs of devices are not remembered; after a restart DPS will be asked for them",
            ),
            letters: Loss::new(
                "events that were not delivered are not kept among the dead letters",
            ),
            dropped: Loss::new("the oldest dead letters were dropped"),
            desired: Loss::new(
                "versions of desired properties are not remembered; after a restart some will be delivered again",
            ),
        }
    }
}

impl Losses {
    /// Checks that the rows are those that were written. Otherwise rows that only save work are discarded, and the rest stays as it
    /// is. Everything is counted and logged.
    pub(crate) fn look_at_sums(
        &self,
        connection: &mut Connection,
        health: &StoreHealth,
    ) -> rusqlite::Result<()> {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        for differs in sums::verify(&transaction, SUMMED)? {
            let (loss, is_forgotten) = match differs.table {
                "hub_cache" => (&self.hubs, true),
                "desired_versions" => (&self.desired, true),
                "idempotency" => (&health.found.answers, true),
                "dead_letters" => (&self.letters, false),
                _ => (&health.found.subscriptions, false),
            };
            let (written, found) = (differs.written, differs.found);
            let count = match is_forgotten {
                true => written.max(found),
                false => written.abs_diff(found),
            };
            let why = format!(
                "{written} rows were written and {found} are there, not all as they were: the file was damaged or changed by another program"
            );
            loss.add(count.max(1), &why);
            if is_forgotten {
                transaction.execute(&format!("DELETE FROM {}", differs.table), [])?;
            }
            sums::accept(&transaction, SUMMED, differs.table)?;
        }
        transaction.commit()
    }
}

/// How much is kept.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) letters: Totals,
    /// Bytes of letters that wait to be written.
    pub(crate) waiting_bytes: usize,
    pub(crate) answers: u64,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            letters: Totals {
                rows: MAX_DEAD_LETTERS,
                bytes: MAX_DEAD_LETTERS_BYTES,
            },
            waiting_bytes: DEAD_LETTERS_WAITING_BYTES,
            answers: MAX_IDEMPOTENCY_KEYS,
        }
    }
}

/// Owns the connection that writes.
#[derive(Debug)]
pub(crate) struct Writer {
    connection: Connection,
    keys: Arc<Keys>,
    losses: Losses,
    letters: Totals,
    answers: u64,
    bounds: Bounds,
    /// The current key, when it was last looked at.
    seals_with: u32,
    /// Rows are being re-encrypted.
    rekey: Option<Rekey>,
    /// Older answers are being deleted.
    sweep: Option<u64>,
    /// The last state of the key ring's file that did not help.
    useless: Option<Stamp>,
    commits: Commits,
    /// Something is in the log that is not in the database.
    unfolded: bool,
}

impl Writer {
    pub(crate) fn new(
        connection: Connection,
        keys: Arc<Keys>,
        losses: Losses,
        bounds: Bounds,
        commits: Commits,
    ) -> rusqlite::Result<Self> {
        let letters = dead_letters::totals(&connection)?;
        let answers = idempotency::count(&connection)?;
        Ok(Self {
            connection,
            seals_with: keys.ring().current(),
            keys,
            losses,
            bounds,
            letters,
            answers,
            rekey: None,
            sweep: None,
            useless: None,
            commits,
            unfolded: false,
        })
    }

    /// Writes in the order of the queue until its last sender is gone. A failed write is reported or counted, and the next one is
    /// tried, since room may have been made meanwhile. Background work continues between groups.
    pub(crate) fn run(mut self, mut jobs: mpsc::Receiver<Job>) {
        let mut left = None;
        loop {
            let is_idle = self.rekey.is_none() && self.sweep.is_none();
            let next = match left.take() {
                Some(job) => Some(job),
                None if is_idle => match jobs.blocking_recv() {
                    Some(job) => Some(job),
                    None => return,
                },
                None => match jobs.try_recv() {
                    Ok(job) => Some(job),
                    Err(TryRecvError::Empty) => None,
                    Err(TryRecvError::Disconnected) => return,
                },
            };
            match next {
                Some(Job::Change(change, waiter)) => {
                    let group = gather(&mut jobs, (change, waiter), &mut left);
                    self.write(group);
                }
                Some(job) => self.other(job),
                None => {}
            }
            self.background();
        }
    }

    fn other(&mut self, job: Job) {
        match job {
            Job::Change(change, waiter) => self.write(vec![(change, waiter)]),
            Job::Collect {
                before_unix_s,
                keep,
                done,
            } => {
                let collected = self.commits.watch.check().and_then(|()| {
                    hub_cache::collect(&mut self.connection, before_unix_s, &keep)
                        .map_err(StoreError::from)
                });
                // The caller may be gone.
                let _ = done.send(collected);
            }
            Job::Keys => self.look_at_keys(),
            Job::Sweep { before_unix_s } => self.sweep = Some(before_unix_s),
            Job::Fold => self.fold(),
            Job::Probe => self.write(Vec::new()),
        }
    }

    fn write(&mut self, group: Vec<(Change, Option<Waiter>)>) {
        let written = self.transaction(&group);
        self.commits.health.wrote(&written);
        if written.is_err() {
            self.recount();
        }
        self.tell(group, written);
    }

    /// How many rows each of the group changed.
    fn transaction(
        &mut self,
        group: &[(Change, Option<Waiter>)],
    ) -> Result<Vec<usize>, StoreError> {
        self.commits.watch.check()?;
        let sync = match group.iter().any(|(change, _)| change.is_durable()) {
            true => Sync::OfMachine,
            false => Sync::OfProcess,
        };
        database::sync(&self.connection, sync)?;
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        let ring = match group.iter().any(|(change, _)| change.seals()) {
            true => ring_that_seals(&transaction, &self.keys, &mut self.useless)?,
            false => self.keys.ring(),
        };
        if ring.current() != self.seals_with {
            self.seals_with = ring.current();
            self.rekey = Some(Rekey::default());
        }
        let (mut letters, mut answers) = (self.letters, self.answers);
        let mut changed = Vec::with_capacity(group.len());
        for (change, _) in group {
            changed.push(apply(
                &transaction,
                &ring,
                change,
                &mut letters,
                &mut answers,
            )?);
        }
        let dropped = bound_letters(&transaction, &mut letters, &self.bounds.letters)?;
        let surplus = answers.saturating_sub(self.bounds.answers);
        if surplus > 0 {
            answers -= idempotency::drop_oldest(&transaction, surplus)? as u64;
        }
        let stored = Stored::count(&transaction, sync)?;
        transaction.commit()?;
        self.commits.stored = stored;
        self.commits.mark.say(stored.counts());
        self.unfolded = true;
        (self.letters, self.answers) = (letters, answers);
        self.losses.dropped.add(dropped, &"there are too many");
        // A file that was cut meanwhile may not have it.
        self.commits.watch.check()?;
        Ok(changed)
    }

    fn tell(&self, group: Vec<(Change, Option<Waiter>)>, written: Result<Vec<usize>, StoreError>) {
        if let Err(error) = &written {
            // Counted before anybody who waits goes on.
            for (change, _) in &group {
                self.lose(change, error);
            }
        }
        for (place, (_, waiter)) in group.into_iter().enumerate() {
            if let Some(waiter) = waiter {
                let changed = written.as_ref().map(|rows| rows.get(place).copied());
                let changed = changed.map(Option::unwrap_or_default);
                let _ = waiter.send(changed.map_err(Clone::clone));
            }
        }
    }

    fn lose(&self, change: &Change, error: &StoreError) {
        match change {
            Change::PutHub(_) => self.losses.hubs.add(1, error),
            Change::PutDeadLetter { durable: false, .. } => self.losses.letters.add(1, error),
            Change::PutDesired(..) | Change::RemoveDesired(_) => self.losses.desired.add(1, error),
            // Waiters get the result; the rest costs nothing.
            Change::RenewHubs { .. }
            | Change::PutDeadLetter { durable: true, .. }
            | Change::ForgetHub(_)
            | Change::PutSubscription(_)
            | Change::RemoveSubscription(..)
            | Change::RemoveDeadLetter(_)
            | Change::RemoveWebhook(_)
            | Change::PutAnswer(..) => {}
        }
    }

    /// Merges the log into the database, so that a log that is lost later takes little with it.
    fn fold(&mut self) {
        if self.unfolded {
            let whole = self.commits.watch.check();
            let folded =
                whole.and_then(|()| sqlite::fold(&self.connection).map_err(StoreError::from));
            self.unfolded = folded.is_err();
            if folded.is_err() {
                self.commits.health.wrote(&folded);
            }
        }
    }

    /// Another program may have changed rows while ours could not.
    fn recount(&mut self) {
        if let Ok(letters) = dead_letters::totals(&self.connection) {
            self.letters = letters;
        }
        if let Ok(answers) = idempotency::count(&self.connection) {
            self.answers = answers;
        }
    }

    fn look_at_keys(&mut self) {
        self.useless = None;
        match self.reload() {
            Ok(true) => self.rekey = Some(Rekey::default()),
            Ok(false) => {}
            Err(error) => tracing::error!(
                %error,
                "the key ring changed and cannot be used; values are encrypted as before, but the next start will fail"
            ),
        }
    }

    /// Whether there are rows with other keys than the current one.
    fn reload(&mut self) -> Result<bool, StoreError> {
        self.commits.watch.check()?;
        let before = self.keys.ring().current();
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        let used = keys::in_use(&transaction)?;
        let failed = |error: crate::OpenError| StoreError::KeyRing(error.to_string());
        self.keys.reload(&used).map_err(failed)?;
        let ring = self.keys.ring();
        keys::announce(&transaction, &ring)?;
        transaction.commit()?;
        self.seals_with = ring.current();
        if ring.current() != before {
            tracing::info!(key = ring.current(), "the key ring has a new current key");
        }
        let other = |used: &keys::KeyUse| used.rows > 0 && used.version != ring.current();
        Ok(used.iter().any(other))
    }

    /// Some of what is not urgent.
    fn background(&mut self) {
        if let Some(before_unix_s) = self.sweep {
            let swept = self.commits.watch.check().and_then(|()| {
                idempotency::sweep(&self.connection, before_unix_s).map_err(StoreError::from)
            });
            match swept {
                Ok(swept) => {
                    self.answers = self.answers.saturating_sub(swept as u64);
                    if swept < IDEMPOTENCY_SWEEP_GROUP {
                        self.sweep = None;
                    }
                }
                // Next time.
                Err(_) => self.sweep = None,
            }
        }
        if let Some(rekey) = self.rekey.take() {
            match self.rekey(rekey) {
                Ok(rekey) if rekey.is_done() => {
                    let Rekey {
                        done, unreadable, ..
                    } = rekey;
                    tracing::info!(
                        rows = done,
                        unreadable,
                        "values are encrypted with the current key"
                    );
                }
                Ok(rekey) => self.rekey = Some(rekey),
                Err(error) => {
                    tracing::warn!(%error, "values keep their old key until the next start");
                }
            }
        }
    }

    fn rekey(&mut self, mut rekey: Rekey) -> Result<Rekey, StoreError> {
        self.commits.watch.check()?;
        database::sync(&self.connection, Sync::OfProcess)?;
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        let ring = ring_that_seals(&transaction, &self.keys, &mut self.useless)?;
        if ring.current() != self.seals_with {
            self.seals_with = ring.current();
            rekey = Rekey::default();
        }
        rekey.step(&transaction, &ring)?;
        transaction.commit()?;
        Ok(rekey)
    }
}

impl Drop for Writer {
    /// The log of a database that is not whole stays as it is: a part of it may be all that is left.
    fn drop(&mut self) {
        if self.commits.watch.check().is_err() {
            // If it cannot be set, the log is folded as always.
            let _ = sqlite::fold_at_close(&self.connection, false);
        }
    }
}

/// Further waiting changes, up to a group; jobs that are not changes follow.
fn gather(
    jobs: &mut mpsc::Receiver<Job>,
    first: (Change, Option<Waiter>),
    left: &mut Option<Job>,
) -> Vec<(Change, Option<Waiter>)> {
    let mut group = vec![first];
    while group.len() < STORE_GROUP {
        match jobs.try_recv() {
            Ok(Job::Change(change, waiter)) => group.push((change, waiter)),
            Ok(job) => {
                *left = Some(job);
                break;
            }
            Err(_) => break,
        }
    }
    group
}
