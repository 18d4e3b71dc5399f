#!/usr/bin/env bash
# Fuzzes each target, or those named, for so many seconds, beginning with the inputs in corpus/:
#
#   fuzz/run.sh SECONDS [TARGET…]
#
# It does what `cargo fuzz` does, without having to be installed: AddressSanitizer, and coverage for
# libFuzzer, by flags that the stable compiler takes when asked to. Needs a C++ compiler. An input that
# breaks a promise is left in artifacts/.
set -euo pipefail
cd "$(dirname "$0")"

seconds=$1
shift
(($#)) || set -- options lines

export RUSTC_BOOTSTRAP=1
export RUSTFLAGS="--cfg fuzzing -Zsanitizer=address -Cdebug-assertions -Ccodegen-units=1 -Cforce-frame-pointers \
-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
-Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares"
# With a target named, build scripts and macros are not instrumented, which they would not survive.
target=$(rustc -vV | sed -n 's/^host: //p')
cargo build --quiet --locked --release --target "$target" "${@/#/--bin=}"

for name in "$@"; do
    printf '%s: ' "$name"
    mkdir -p "target/corpus/$name" "artifacts/$name"
    # New inputs go to the first folder.
    if ! "target/$target/release/$name" "target/corpus/$name" "corpus/$name" \
        -max_total_time="$seconds" -artifact_prefix="artifacts/$name/" >"target/$name.log" 2>&1; then
        tail -n 40 "target/$name.log"
        exit 1
    fi
    tail -n 1 "target/$name.log"
done
