//! The statements that change a run. Each is whole in itself: it locks the run, changes it if the caller may, and answers
//! with the run as it was, so that a refusal can say why.

/// The run that a token names, locked. Values 1 to 4: tenant, run, session, subject.
macro_rules! asked {
    () => {
        "WITH asked AS ( \
            SELECT r.id, r.session, r.state, r.epoch, r.lease_expires_ms, r.cursor, \
                   r.cancel_reason IS NOT NULL AS cancel_requested, r.tokens, r.bytes \
            FROM runs r JOIN sessions s ON s.id = r.session \
            WHERE r.tenant = $1 AND r.run_id = $2 AND s.session_id = $3 AND s.subject = $4 FOR UPDATE OF r)"
    };
}

/// `written` is null when nothing was.
macro_rules! answer {
    () => {
        " SELECT asked.*, done.written FROM asked LEFT JOIN done ON TRUE"
    };
}

/// 5 epoch, 6 expected cursor, 7 time, 8 events, 9 states. Writes the new cursor.
pub(super) const APPEND: &str = concat!(
    asked!(),
    ", done AS ( \
        UPDATE runs SET cursor = asked.cursor + cardinality($9::bytea[]) FROM asked \
        WHERE runs.id = asked.id AND asked.state = 1 AND asked.epoch = $5 AND asked.cursor = $6 \
        RETURNING runs.id, runs.cursor AS written), \
     entries AS ( \
        INSERT INTO journal (run, cursor, written_ms, event, state) \
        SELECT done.id, $6 + entry.number, $7, entry.event, entry.state \
        FROM done, unnest($8::bytea[], $9::bytea[]) WITH ORDINALITY AS entry (event, state, number))",
    answer!()
);

/// 5 now, 6 expiry. Writes the new epoch.
pub(super) const ACQUIRE: &str = concat!(
    asked!(),
    ", done AS ( \
        UPDATE runs SET epoch = asked.epoch + 1, lease_expires_ms = $6 FROM asked \
        WHERE runs.id = asked.id AND asked.state = 1 AND asked.lease_expires_ms <= $5 \
        RETURNING runs.epoch AS written)",
    answer!()
);

/// 1 tenants, 2 runs, 3 epochs, 4 expiry. Rows are locked in one order, so that two batches do not wait for each other;
/// what is answered is what was there when they were. The order of the request.
pub(super) const RENEW: &str = "\
    WITH wanted AS ( \
        SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[]) WITH ORDINALITY AS w (tenant, run_id, epoch, place)), \
    found AS ( \
        SELECT r.id, r.tenant, r.run_id, r.state, r.epoch, r.cancel_reason IS NOT NULL AS cancel_requested \
        FROM runs r WHERE (r.tenant, r.run_id) IN (SELECT w.tenant, w.run_id FROM wanted w) \
        ORDER BY r.id FOR UPDATE OF r), \
    done AS ( \
        UPDATE runs SET lease_expires_ms = $4 FROM found, wanted w \
        WHERE runs.id = found.id AND w.tenant = found.tenant AND w.run_id = found.run_id \
          AND found.state = 1 AND found.epoch = w.epoch) \
    SELECT w.epoch AS asked, f.state, f.epoch, coalesce(f.cancel_requested, FALSE) AS cancel_requested \
    FROM wanted w LEFT JOIN found f ON f.tenant = w.tenant AND f.run_id = w.run_id ORDER BY w.place";

/// 5 epoch, 6 now. Writes the epoch that nobody has.
pub(super) const RELEASE: &str = concat!(
    asked!(),
    ", done AS ( \
        UPDATE runs SET epoch = asked.epoch + 1, lease_expires_ms = least(asked.lease_expires_ms, $6) FROM asked \
        WHERE runs.id = asked.id AND asked.state = 1 AND asked.epoch = $5 \
        RETURNING runs.epoch AS written)",
    answer!()
);

/// 5 reason. The first stays. Writes the epoch.
pub(super) const REQUEST_CANCEL: &str = concat!(
    asked!(),
    ", done AS ( \
        UPDATE runs SET cancel_reason = $5 FROM asked \
        WHERE runs.id = asked.id AND asked.state = 1 AND NOT asked.cancel_requested \
        RETURNING runs.epoch AS written)",
    answer!()
);

/// The session first, as everybody does who locks both. 5 epoch, 6 state, 7 time, 8 events, 9 states, 10 messages, 11
/// tokens, 12 bytes, 13 turns, 14 whether it was shown what may be anybody's words. Writes the cursor.
pub(super) const FINISH: &str = "\
    WITH held AS ( \
        SELECT s.id FROM sessions s WHERE s.tenant = $1 AND s.session_id = $3 AND s.subject = $4 FOR UPDATE), \
    asked AS ( \
        SELECT r.id, r.session, r.state, r.epoch, r.lease_expires_ms, r.cursor, \
               r.cancel_reason IS NOT NULL AS cancel_requested, r.tokens, r.bytes \
        FROM held JOIN runs r ON r.session = held.id WHERE r.tenant = $1 AND r.run_id = $2 FOR UPDATE OF r), \
    done AS ( \
        UPDATE runs SET state = $6, finished_ms = $7, token = NULL, lease_expires_ms = 0, \
               cursor = asked.cursor + cardinality($9::bytea[]), tokens = asked.tokens + $11, \
               bytes = asked.bytes + $12, saw_outside = $14 \
        FROM asked WHERE runs.id = asked.id AND asked.state = 1 AND asked.epoch = $5 \
        RETURNING runs.id, runs.session, runs.cursor AS written), \
    entries AS ( \
        INSERT INTO journal (run, cursor, written_ms, event, state) \
        SELECT done.id, asked.cursor + entry.number, $7, entry.event, entry.state \
        FROM done, asked, unnest($8::bytea[], $9::bytea[]) WITH ORDINALITY AS entry (event, state, number)), \
    said AS ( \
        INSERT INTO messages (run, ordinal, body) \
        SELECT done.id, message.number, message.body \
        FROM done, unnest($10::bytea[]) WITH ORDINALITY AS message (body, number)), \
    freed AS ( \
        UPDATE sessions SET active_run = NULL, updated_ms = $7, turns = turns + $13, \
               saw_outside = sessions.saw_outside OR $14 \
        FROM done \
        WHERE sessions.id = done.session) \
    SELECT asked.*, done.written FROM asked LEFT JOIN done ON TRUE";

/// A run with its message and entries, in a session that no run holds and that has not had the message, while fewer runs are
/// under way than may be. Values: 1 tenant, 2 session, 3 subject, 4 agent, 5 run, 6 message's id, 7 instructions, 8 token,
/// 9 expiry, 10 time, 11 tokens, 12 bytes, 13 message, 14 events, 15 states, 16 limit of the subject, 17 of the tenant. No row
/// when it was not begun.
///
/// Nor in a session that changed while the statement waited for it: of a run that ended meanwhile it sees the freed
/// session, because that is locked, and not the end, because that is younger than its snapshot.
pub(super) const BEGIN: &str = "\
    WITH seen AS MATERIALIZED ( \
        SELECT s.ctid AS version FROM sessions s WHERE s.tenant = $1 AND s.session_id = $2 AND s.subject = $3), \
    held AS ( \
        SELECT s.id, s.ctid AS version, s.agent, s.active_run, \
               (SELECT e.run_id FROM runs e WHERE e.session = s.id AND e.state <> 1 ORDER BY e.id DESC LIMIT 1) \
               AS last_run_id \
        FROM sessions s WHERE s.tenant = $1 AND s.session_id = $2 AND s.subject = $3 FOR UPDATE OF s), \
    under_way AS ( \
        SELECT count(*) AS of_tenant, count(*) FILTER (WHERE s.subject = $3) AS of_subject \
        FROM sessions s WHERE s.tenant = $1 AND s.active_run IS NOT NULL), \
    begun AS ( \
        INSERT INTO runs (session, tenant, run_id, client_message_id, client_instructions, state, token, epoch, \
               lease_expires_ms, cursor, first_cursor, started_ms, tokens, bytes) \
        SELECT held.id, $1, $5, $6, $7, 1, $8, 1, $9, cardinality($15::bytea[]), cardinality($15::bytea[]), $10, $11, \
               $12 \
        FROM held JOIN seen ON seen.version = held.version CROSS JOIN under_way \
        WHERE held.agent = $4 AND held.active_run IS NULL \
          AND under_way.of_subject < $16 AND under_way.of_tenant < $17 \
        ON CONFLICT DO NOTHING RETURNING id, session), \
    said AS ( \
        INSERT INTO messages (run, ordinal, body) \
        SELECT begun.id, message.number - 1, message.body \
        FROM begun, unnest($13::bytea[]) WITH ORDINALITY AS message (body, number)), \
    entries AS ( \
        INSERT INTO journal (run, cursor, written_ms, event, state) \
        SELECT begun.id, entry.number, $10, entry.event, entry.state \
        FROM begun, unnest($14::bytea[], $15::bytea[]) WITH ORDINALITY AS entry (event, state, number)), \
    busy AS ( \
        UPDATE sessions SET active_run = begun.id, updated_ms = $10 FROM begun WHERE sessions.id = begun.session) \
    SELECT held.last_run_id FROM held JOIN begun ON TRUE";

/// 1 tenant, 2 run, 3 epoch, 4 now, 5 expiry. One that another node is taking is passed over, not waited for.
pub(super) const CLAIM: &str = "\
    WITH free AS ( \
        SELECT id FROM runs WHERE tenant = $1 AND run_id = $2 AND epoch = $3 AND state = 1 AND lease_expires_ms <= $4 \
        FOR UPDATE SKIP LOCKED) \
    UPDATE runs SET epoch = epoch + 1, lease_expires_ms = $5 FROM free WHERE runs.id = free.id \
    RETURNING runs.epoch, runs.cursor, runs.cancel_reason IS NOT NULL";

/// Ends a run that nobody drives. 1 tenant, 2 run, 3 epoch, 4 now, 5 events, 6 states of entries, 7 state, 8 turns. The
/// session first.
pub(super) const END: &str = "\
    WITH held AS ( \
        SELECT s.id FROM sessions s JOIN runs r ON r.session = s.id WHERE r.tenant = $1 AND r.run_id = $2 \
        FOR UPDATE OF s), \
    free AS ( \
        SELECT r.id, r.cursor FROM held JOIN runs r ON r.session = held.id \
        WHERE r.tenant = $1 AND r.run_id = $2 AND r.epoch = $3 AND r.state = 1 AND r.lease_expires_ms <= $4 \
        FOR UPDATE OF r), \
    done AS ( \
        UPDATE runs SET state = $7, finished_ms = $4, token = NULL, lease_expires_ms = 0, \
               cursor = free.cursor + cardinality($6::bytea[]) \
        FROM free WHERE runs.id = free.id RETURNING runs.id, runs.session), \
    entries AS ( \
        INSERT INTO journal (run, cursor, written_ms, event, state) \
        SELECT done.id, free.cursor + entry.number, $4, entry.event, entry.state \
        FROM done, free, unnest($5::bytea[], $6::bytea[]) WITH ORDINALITY AS entry (event, state, number)) \
    UPDATE sessions SET active_run = NULL, updated_ms = $4, turns = turns + $8 FROM done WHERE sessions.id = done.session";
