//! Connections to the database.

use super::*;

#[test]
fn a_connection_that_gives_no_answer_when_it_is_given_back_is_replaced() {
    let second = Duration::from_secs(1);
    let limits = Limits { connections: 1, wait: 4 * second, statement: second };
    run_with(support::Store::Postgres, limits, async |store| {
        let mut transaction = store.pool().begin().await.unwrap();
        let pid: i32 = sqlx::query_scalar("SELECT pg_backend_pid()").fetch_one(&mut *transaction).await.unwrap();
        let backend = rustix::process::Pid::from_raw(pid).unwrap();
        let signal = |signal| rustix::process::kill_process(backend, signal).unwrap();
        signal(rustix::process::Signal::STOP);
        // As when its client has gone: what it changed is to be undone, and the database is silent.
        drop(transaction);
        tokio::time::sleep(2 * second).await;
        let answer = store.ping().await;
        signal(rustix::process::Signal::CONT);
        answer.unwrap();
    });
}
