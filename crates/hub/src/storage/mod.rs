//! What file upload needs of Azure Storage: an account by its connection string, and signatures for one blob or one container.

mod account;
mod signature;

pub use account::{InvalidStorageAccount, StorageAccount, blob_path};
pub use signature::{Permission, Refused, Scope, check, query_value, sign};
