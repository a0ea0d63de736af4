//! Does a thief lose, whatever the order of what happens? Random thefts, one seed each.
//!
//! `KITH_SEEDS=10000` runs more, `SEED=42` begins elsewhere.

use kith_tests::sim::{
    seeds,
    theft::{self, Deed, Whim},
};

/// Runs thefts with many seeds.
fn thefts(usual: u64, test: &'static str, deeds: &[Deed]) {
    seeds::each(usual, |seed| drop(theft::run(seed, test, deeds)));
}

/// One theft whose order of events once went wrong.
fn again(seed: u64, test: &'static str, deeds: &[Deed]) {
    theft::run(seed, test, deeds);
}

/// The same with an owner who errs.
fn err_again(seed: u64, test: &'static str) {
    theft::run_with(seed, test, &Deed::ALL, &Whim::ALL);
}

const VOTES: [Deed; 5] = [Deed::Accuse, Deed::Say, Deed::Backdate, Deed::Withhold, Deed::Noise];
const FAKES: [Deed; 6] =
    [Deed::Fake, Deed::FakeSays, Deed::Accuse, Deed::Say, Deed::Meddle, Deed::Delete];
const LONG_AGO: [Deed; 5] =
    [Deed::AccuseSince, Deed::Fake, Deed::FakeSays, Deed::Accuse, Deed::Say];

/// ```text
/// thief → some of the others, in any order; they → thief
/// ```
#[test]
fn thefts_with_votes_and_messages() {
    thefts(40, "thefts_with_votes_and_messages", &VOTES);
}

#[test]
fn thefts_with_fakes_and_deletions() {
    thefts(30, "thefts_with_fakes_and_deletions", &FAKES);
}

#[test]
fn random_thefts() {
    thefts(30, "random_thefts", &Deed::ALL);
}

/// The owner errs, chooses times, deletes, signs lists and recovers in between.
#[test]
fn thefts_with_an_owner_who_errs() {
    let test = "thefts_with_an_owner_who_errs";
    seeds::each(30, |seed| drop(theft::run_with(seed, test, &Deed::ALL, &Whim::ALL)));
}

#[test]
fn who_is_cut_off_by_one_voice_can_still_answer() {
    again(6, "who_is_cut_off_by_one_voice_can_still_answer", &VOTES);
}

#[test]
fn what_is_read_while_one_is_cut_off_is_read_everywhere() {
    again(28, "what_is_read_while_one_is_cut_off_is_read_everywhere", &VOTES);
}

#[test]
fn an_accusation_that_is_answered_leaves_no_gap_with_contacts() {
    again(3, "an_accusation_that_is_answered_leaves_no_gap_with_contacts", &LONG_AGO);
}

/// One cut takes all, a later one believes one of two histories.
#[test]
fn where_what_a_cut_names_is_back_what_leads_elsewhere_goes() {
    again(1083, "where_what_a_cut_names_is_back_what_leads_elsewhere_goes", &Deed::ALL);
}

/// What the cut names answers what answers the thief's other history.
#[test]
fn a_cut_that_waits_for_an_answer_to_what_it_cuts_is_heard() {
    again(1154, "a_cut_that_waits_for_an_answer_to_what_it_cuts_is_heard", &Deed::ALL);
}

#[test]
fn what_a_thief_cleared_comes_back_when_he_is_out() {
    again(4, "what_a_thief_cleared_comes_back_when_he_is_out", &Deed::ALL);
}

#[test]
fn a_fork_and_a_cut_leave_one_order() {
    again(11, "a_fork_and_a_cut_leave_one_order", &Deed::ALL);
}

#[test]
fn the_vote_that_decides_keeps_what_its_device_has() {
    again(93, "the_vote_that_decides_keeps_what_its_device_has", &VOTES);
}

#[test]
fn a_draft_stays_with_the_vote_that_decides() {
    again(78, "a_draft_stays_with_the_vote_that_decides", &FAKES);
    again(158, "a_draft_stays_with_the_vote_that_decides", &FAKES);
}

#[test]
fn a_deletion_stays_with_the_vote_that_decides() {
    again(90, "a_deletion_stays_with_the_vote_that_decides", &FAKES);
}

#[test]
fn those_who_are_all_disputed_find_each_other_without_contacts() {
    again(117, "those_who_are_all_disputed_find_each_other_without_contacts", &Deed::ALL);
}

#[test]
fn a_cut_is_heard_that_waits_for_what_it_cuts() {
    again(128, "a_cut_is_heard_that_waits_for_what_it_cuts", &Deed::ALL);
    again(99, "a_cut_is_heard_that_waits_for_what_it_cuts", &VOTES);
}

#[test]
fn what_was_deleted_does_not_come_back_with_another_cut() {
    again(519, "what_was_deleted_does_not_come_back_with_another_cut", &VOTES);
}

#[test]
fn a_body_that_only_the_stolen_device_had_may_be_gone() {
    again(520, "a_body_that_only_the_stolen_device_had_may_be_gone", &VOTES);
    again(520, "a_body_that_only_the_stolen_device_had_may_be_gone", &FAKES);
    again(520, "a_body_that_only_the_stolen_device_had_may_be_gone", &Deed::ALL);
}

#[test]
fn what_one_device_clears_is_unread_on_none() {
    err_again(12, "what_one_device_clears_is_unread_on_none");
}

#[test]
fn a_cut_that_believes_more_needs_nobody_who_has_kept_it() {
    err_again(22, "a_cut_that_believes_more_needs_nobody_who_has_kept_it");
    err_again(53, "a_cut_that_believes_more_needs_nobody_who_has_kept_it");
}

#[test]
fn what_a_thief_began_to_write_does_not_come_back_with_a_restart() {
    err_again(164, "what_a_thief_began_to_write_does_not_come_back_with_a_restart");
}

#[test]
fn a_body_is_asked_for_until_somebody_has_it() {
    again(220, "a_body_is_asked_for_until_somebody_has_it", &VOTES);
}
