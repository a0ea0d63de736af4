#!/bin/sh
# Fuzzes targets one after the other: run.sh SECONDS [TARGET]...
# Without names: all. New inputs go to corpus/, crashes to artifacts/.
set -eu
cd "$(dirname "$0")"
seconds=$1
shift
[ $# -gt 0 ] || set -- $(ls fuzz_targets | sed 's/\.rs$//')
for target; do
    case $target in
        engine) length=1000 ;;
        envelope_frontier | envelope_contact_request | envelope_seat | envelope_clear | \
            envelope_link_offer | account_fold | frame | link | own_body) length=6000 ;;
        *) length=2100 ;;
    esac
    echo "== $target"
    nice -n 10 cargo +nightly fuzz run --sanitizer none --features libfuzzer "$target" -- \
        -jobs=0 -max_total_time="$seconds" -max_len="$length" -timeout=20 \
        -print_final_stats=1 2>&1 | tail -n "${TAIL:-25}"
done
