//! A copy of the registry's file, and the state of the hubs replaced by such a copy or by nothing. Keys, settings and certificate
//! authorities stay as they are.

use std::path::Path;

use drawspan_state::private;
use rusqlite::Connection;

use super::{Database, StoreError, schema};

/// Tables that are no state of hubs.
const KEPT: [&str; 3] = ["setting", "dps_group", "authority"];

impl Database {
    /// Copies the file, as it is at the moment, to a new one at `to`.
    ///
    /// # Errors
    /// When SQLite refuses, also because there is a file already.
    pub fn copy(&self, to: &Path) -> Result<(), StoreError> {
        let path = to.to_string_lossy();
        let copied = self.connection.execute("VACUUM INTO ?1", [&*path]);
        copied.map_err(|cause| self.failed("copy", cause))?;
        private::close_file(to);
        Ok(())
    }

    /// Replaces the state of all hubs by that in a copy; without `from`, by nothing. So are settings whose names begin with `settings`.
    ///
    /// # Errors
    /// When SQLite refuses, or the copy has another format. Nothing is replaced then.
    pub fn replace(&mut self, from: Option<&Path>, settings: &str) -> Result<(), StoreError> {
        let Some(from) = from else {
            return self.write(|connection| clear(connection, settings));
        };
        let attach = self
            .connection
            .execute("ATTACH ?1 AS copy", [&*from.to_string_lossy()]);
        attach.map_err(|cause| self.failed("open", cause))?;
        let replaced = check_format(&self.connection, from).and_then(|()| {
            self.write(|connection| {
                clear(connection, settings)?;
                connection.execute(
                    "INSERT INTO main.setting SELECT name, value FROM copy.setting WHERE substr(name, 1, length(?1)) = ?1",
                    [settings],
                )?;
                tables().try_for_each(|(table, columns)| {
                    let columns = columns.iter().map(|it| format!("\"{it}\""));
                    let columns = columns.collect::<Vec<_>>().join(", ");
                    let sql = format!(
                        "INSERT INTO main.{table} ({columns}) SELECT {columns} FROM copy.{table}"
                    );
                    connection.execute(&sql, []).map(drop)
                })
            })
        });
        let detached = self.connection.execute("DETACH copy", []);
        replaced?;
        detached
            .map(drop)
            .map_err(|cause| self.failed("close", cause))
    }
}

/// The tables with the state of hubs, and their columns.
fn tables() -> impl Iterator<Item = (&'static str, &'static [&'static str])> {
    let is_state = |table: &&str| !KEPT.contains(table);
    let all = schema::SUMMED.iter().map(|it| (it.table, it.columns));
    all.filter(move |(table, _)| is_state(table))
}

fn clear(connection: &Connection, settings: &str) -> rusqlite::Result<()> {
    connection.execute(
        "DELETE FROM main.setting WHERE substr(name, 1, length(?1)) = ?1",
        [settings],
    )?;
    tables().try_for_each(|(table, _)| {
        // A table is emptied row by row, so that its sum is kept up.
        let sql = format!("DELETE FROM main.{table} WHERE 1");
        connection.execute(&sql, []).map(drop)
    })
}

fn check_format(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    let found = connection.query_row("PRAGMA copy.user_version", [], |row| row.get(0));
    let found: i64 = found.map_err(|cause| StoreError::Sqlite {
        doing: "open",
        path: path.to_path_buf(),
        cause,
    })?;
    match found {
        schema::FORMAT => Ok(()),
        found => Err(StoreError::OtherFormat {
            path: path.to_path_buf(),
            found,
            readable: schema::FORMAT,
        }),
    }
}
