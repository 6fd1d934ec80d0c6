//! What a row was, before it was changed or deleted, is nowhere in the file.

use harombe_sql::{Connection, Limits, UnitFuture, Units};

use crate::{Refusal, open, unit};

const SECRET: &[u8] = b"a sentence that nobody may find again";

fn each(
    statement: &'static str,
    rows: std::ops::Range<i64>,
) -> impl for<'c> FnOnce(&'c mut Connection) -> UnitFuture<'c, (), Refusal> + Send + 'static {
    unit(move |tx| {
        Box::pin(async move {
            for row in rows {
                let body = SECRET.repeat(usize::try_from(row % 31).unwrap_or_default() + 1);
                sqlx::query(statement)
                    .bind(row)
                    .bind(body)
                    .execute(&mut *tx)
                    .await?;
            }
            Ok(())
        })
    })
}

#[tokio::test]
async fn a_row_that_has_grown_and_gone_leaves_nothing_behind() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("notes.db");
    let (database, writer) = open(&path).await;
    let units = Units::start(writer, Limits::default());
    let run = async |statement, rows| units.run(&'t', each(statement, rows)).await.unwrap();
    // rows between them stay, so that their pages do
    run(
        "INSERT INTO notes (id, name, body) VALUES (?1, 'note ' || ?1, CASE ?1 % 3 WHEN 0 THEN x'00' ELSE ?2 END)",
        0..120,
    )
    .await;
    // it is longer than before: it does not stay where it was
    run(
        "UPDATE notes SET name = name || ' that is longer now', body = coalesce(body, ?2) WHERE id = ?1",
        0..120,
    )
    .await;
    run(
        "DELETE FROM notes WHERE id = ?1 AND id % 3 <> 0 AND ?2 IS NOT NULL",
        0..120,
    )
    .await;
    let emptied = unit(|tx| {
        Box::pin(async move {
            sqlx::query("UPDATE notes SET body = x'00'").execute(tx).await?;
            Ok(())
        })
    });
    units.run(&'t', emptied).await.unwrap();
    // the log goes with the last connection
    units.shutdown().await;
    database.close().await;
    for file in std::fs::read_dir(directory.path()).unwrap() {
        let path = file.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        let found = bytes.windows(SECRET.len()).any(|window| window == SECRET);
        assert!(!found, "{} still has it", path.display());
    }
}
