//! Telemetry: stored as it comes, and read by services.

use drawspan_hub::ErrorCode;
use drawspan_hub_model::client_id::ClientId;
use drawspan_hub_model::event::HubEvent;
use drawspan_segment_log::{
    LogError, NewRecord, PartitionInfo, Position, StoredRecord, Subscription,
};

use super::Hub;

impl Hub {
    /// Stores messages of devices and modules; see [`TelemetryLog::append_batch`].
    ///
    /// # Errors
    /// When they are not all stored. None of them may be acknowledged then.
    pub fn ingest(&self, records: &[NewRecord]) -> Result<(), LogError> {
        let now_unix_ms = self.now_unix_ms();
        let stored = self.log.append_batch(records, now_unix_ms);
        for record in records {
            let client = sender(record);
            self.emit(match &stored {
                Ok(()) => HubEvent::TelemetryAccepted {
                    client,
                    bytes: record.message.len(),
                },
                Err(_) => HubEvent::TelemetryRefused {
                    client,
                    code: ErrorCode::SERVER_ERROR,
                },
            });
        }
        stored?;
        let mut registry = self.registry_mut();
        for record in records {
            registry.set_active(&sender(record), now_unix_ms);
        }
        Ok(())
    }

    /// How many partitions the event endpoint has.
    pub fn partition_count(&self) -> u16 {
        self.log.partition_count()
    }

    /// The bounds of a partition; `None` if there is no such partition.
    pub fn partition(&self, partition: u16) -> Option<PartitionInfo> {
        self.log.info(partition)
    }

    /// Sequence number at which reading from `position` begins; see [`TelemetryLog::seek`].
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn seek(&self, partition: u16, position: Position) -> Result<u64, LogError> {
        self.log.seek(partition, position)
    }

    /// Messages from `sequence` on; see [`TelemetryLog::read`].
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn read(
        &self,
        partition: u16,
        sequence: u64,
        max_records: usize,
        max_bytes: usize,
    ) -> Result<Vec<StoredRecord>, LogError> {
        self.log.read(partition, sequence, max_records, max_bytes)
    }

    /// Has `wake` called when a partition grows; see [`TelemetryLog::subscribe`].
    ///
    /// # Errors
    /// When too many readers wait already.
    pub fn subscribe(
        &self,
        partition: u16,
        wake: impl Fn() + Send + Sync + 'static,
    ) -> Result<Option<Subscription>, LogError> {
        self.log.subscribe(partition, wake)
    }
}

fn sender(record: &NewRecord) -> ClientId {
    ClientId {
        device: record.device_id.clone(),
        module: record.module_id.clone(),
    }
}
