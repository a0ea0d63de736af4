//! Do accounts come out as an independent implementation says, and merge into the same ones?

use kith_common::{
    account::{Account, AccountError, Reason, Standing, ends_up},
    ids::{AccountId, DeviceId},
};

use crate::{
    account_id, base_id,
    cases::{Hex, StandingCase, boxes, load, some},
    entry_id,
};

fn standing_case(device: DeviceId, standing: Standing) -> StandingCase {
    let (standing, is_final) = match standing {
        Standing::Settled => ("settled", None),
        Standing::Added => ("added", None),
        Standing::Disputed => ("disputed", None),
        Standing::Former(former) => {
            let reason = match former.reason {
                Reason::Removed => "removed",
                Reason::Stolen => "stolen",
                Reason::Retired => "retired",
                Reason::LeftOut => "left-out",
                Reason::WithInviter => "with-inviter",
            };
            (reason, Some(former.is_final))
        }
    };
    let device = Hex(device.as_bytes().to_vec());
    StandingCase { device, standing: standing.to_owned(), is_final }
}

#[test]
fn accounts_fold_to_the_same_standings() {
    let file = load("02-account");
    for case in some(&file.accounts) {
        let account = Account::fold(&boxes(&case.proof)).expect(&case.name);
        assert_eq!(account.id(), account_id(&case.account), "{}", case.name);
        assert_eq!(account.epoch(), case.epoch, "{}", case.name);
        let base = case.base.as_ref().map(base_id);
        let standings: Vec<StandingCase> =
            account.standings().map(|(device, how)| standing_case(device, how)).collect();
        assert_eq!(standings, case.standings, "{}", case.name);
        assert_eq!(account.base(), base, "{}", case.name);
        assert_eq!(account.head(), entry_id(&case.head), "{}", case.name);
        assert_eq!(account.moved_to(), case.moved_to.as_ref().map(account_id), "{}", case.name);
        let absorbed: Vec<AccountId> = case.absorbed.iter().map(account_id).collect();
        assert_eq!(account.absorbed().collect::<Vec<_>>(), absorbed, "{}", case.name);
        let invited: Vec<Hex> = account.invited().map(|one| Hex(one.as_bytes().to_vec())).collect();
        assert_eq!(invited, case.invited, "{}", case.name);
    }
}

#[test]
fn accounts_merge_into_the_same_ones() {
    for case in some(&load("02-account").merges) {
        let fold = |proof: &Vec<Hex>| Account::fold(&boxes(proof)).expect(&case.name);
        let accounts: Vec<Account> = case.proofs.iter().map(fold).collect();
        let ends = case.ends.iter().map(|end| (account_id(&end.account), account_id(&end.ends_up)));
        assert_eq!(ends_up(&accounts), ends.collect(), "{}", case.name);
    }
}

#[test]
fn bad_account_proofs_are_refused() {
    for case in some(&load("02-account").accounts_refused) {
        let refusal = match Account::fold(&boxes(&case.proof)) {
            Ok(_) => "accepted",
            Err(AccountError::Genesis(_)) => "genesis",
            Err(AccountError::Signature) => "signature",
            Err(AccountError::Seat) => "seat",
            Err(AccountError::TooLarge(_)) => "too-large",
            Err(AccountError::Empty) => "empty",
            Err(_) => "a refusal that the spec does not name",
        };
        assert_eq!(refusal, case.refusal, "{}", case.name);
    }
}
