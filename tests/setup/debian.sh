#!/bin/sh
# Installs the Debian packages of the named groups that are not there yet. Does nothing, and asks for nothing, where all are there.
set -eu

missing=
need() { # COMMAND-THAT-PROVES-IT PACKAGE
    sh -c "$1" >/dev/null 2>&1 || missing="$missing $2"
}

for group in "$@"; do
    case $group in
    build)
        need 'command -v cc' gcc
        need 'echo "#include <stdlib.h>" | cc -E -' libc6-dev
        need 'command -v pkg-config' pkg-config
        need 'pkg-config --exists openssl' libssl-dev
        ;;
    test)
        need 'command -v redis-server' redis-server
        # The tests start it themselves, in a folder of their own and as nobody who is root.
        need 'ls /usr/lib/postgresql/*/bin/postgres || command -v postgres' postgresql
        # A pooler between a broker and its journal.
        need 'command -v pgbouncer || test -x /usr/sbin/pgbouncer' pgbouncer
        need 'python3 -c "import ensurepip, venv"' python3-venv
        need 'command -v curl' curl
        need 'command -v openssl' openssl
        # Proxies that ask Carnet for verdicts.
        need 'command -v nginx || test -x /usr/sbin/nginx' nginx-light
        need 'command -v caddy' caddy
        # A client of others that enrols (tests/broker/interop/est) is built with it.
        need 'command -v go' golang-go
        # Sets the wall clock of a server that runs, and of nothing else.
        need 'command -v faketime' faketime
        # The browser in which the console is used.
        need 'command -v chromium' chromium
        ;;
    *)
        echo "setup: no group '$group'; there are: build test" >&2
        exit 2
        ;;
    esac
done

rust=$(cargo --version 2>/dev/null | sed -n 's/^cargo 1\.\([0-9]*\)\..*/\1/p')
if [ "${rust:-0}" -lt 94 ]; then
    echo "setup: Rust 1.94 or newer is needed, and $(cargo --version 2>/dev/null || echo none) is here: https://rustup.rs" >&2
    exit 1
fi
case " $* " in *" test "*)
    if ! { cargo fmt --version && cargo clippy --version; } >/dev/null 2>&1; then
        echo "setup: rustfmt and clippy are missing: rustup component add rustfmt clippy" >&2
        exit 1
    fi
    ;;
esac
[ -n "$missing" ] || exit 0

if ! command -v apt-get >/dev/null 2>&1; then
    echo "setup: this is no Debian; install the equivalents of these by hand:$missing" >&2
    exit 1
elif [ "$(id -u)" = 0 ]; then
    as_root=
elif command -v sudo >/dev/null 2>&1; then
    as_root=sudo
else
    echo "setup: missing packages, and neither root nor sudo to install them. As root: apt-get install$missing" >&2
    exit 1
fi
echo "setup: installing$missing" >&2
export DEBIAN_FRONTEND=noninteractive
# redis-server's, postgresql's and pgbouncer's packages would start services on 6379, 5432 and 6432; the tests start their own servers.
$as_root apt-get -qq update
# shellcheck disable=SC2086 # a list of words on purpose
$as_root env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get -qq install --yes --no-install-recommends $missing >&2
