//! The suite that every store passes: what is acknowledged stays, comes once, and can be proven.

mod appends;
mod bench;
mod erasures;
mod proofs;
mod queries;

use harombe_tlog::{Checkpoint, VerifyingKey, verify_inclusion};

use crate::domain::{Filter, Leaf};
use crate::fixture::Writer;
use crate::log::Log;
pub(crate) use bench::{Bench, admin, erase, erasing, persist, written};

async fn leaf(log: &Log, index: u64) -> Leaf {
    Leaf::decode(&log.entry(index).await.unwrap().leaf).unwrap()
}

fn of(tenant: &str) -> Filter {
    Filter {
        tenant: Some(tenant.to_owned()),
        ..Filter::default()
    }
}

/// Checks an inclusion proof the way an outsider would.
async fn prove(log: &Log, tenant: &str, index: u64, size: u64) {
    let key = VerifyingKey::parse(log.store().verifier_key()).unwrap();
    let proof = log.prove(tenant, index, size).await.unwrap();
    let checkpoint = Checkpoint::open(proof.checkpoint.as_bytes(), &key).unwrap();
    assert_eq!(checkpoint.size(), proof.size);
    verify_inclusion(
        &Leaf::hash(&proof.leaf),
        index,
        proof.size,
        &proof.path,
        checkpoint.root(),
    )
    .unwrap();
}

/// Runs each test on both databases.
macro_rules! on_both {
    ($($room:ident: $($name:ident),+;)+) => {
        mod sqlite {
            $($(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    super::$room::$name(super::Bench::sqlite()).await;
                }
            )+)+
        }

        mod postgres {
            $($(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    super::$room::$name(super::Bench::postgres().await).await;
                }
            )+)+
        }
    };
}

on_both! {
    appends:
        entries_survive_a_restart,
        the_same_event_comes_once,
        who_repeats_an_event_under_another_number_is_told_so,
        an_event_id_cannot_be_taken_over,
        a_bad_event_refuses_its_batch,
        a_failed_commit_leaves_nothing_and_the_log_goes_on,
        a_log_that_was_put_back_under_its_writer_is_not_gone_on_with;
    erasures:
        what_an_erased_person_did_stays_without_its_details,
        an_erasure_that_cannot_be_recorded_is_not_done,
        an_admin_may_erase_themself,
        what_is_appended_after_an_erasure_can_be_read;
    proofs:
        many_callers_get_distinct_places_and_proofs,
        proofs_hold_across_tiles_and_restarts,
        checkpoints_are_consistent_with_each_other,
        a_kept_checkpoint_shows_a_log_that_was_put_back_or_forked;
    queries:
        queries_see_the_newest_entry_with_and_without_the_index,
        queries_by_time,
        a_page_of_the_tail_that_holds_no_match_does_not_end_the_search,
        an_answer_is_whole_up_to_where_it_says_while_the_log_grows;
}
