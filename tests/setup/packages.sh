#!/bin/sh
# Installs what the tests take from PyPI, npm and the Go proxy into .tools/, as their lock files pin it, and only when a lock file changed.
# Node comes from PyPI as well: Debian 12 has 18, oidc-provider wants newer, and Debian's npm pulls in hundreds of packages.
set -eu

cd "$(dirname "$0")/../.."
locks=$PWD/tests/broker/interop
# Several working trees may share one installation by a symbolic link: Python and npm write the real place into what they install.
tools=$(readlink -f .tools)
mkdir -p "$tools"

# Checksums of the content alone, so that they are the same in every working tree. Each is written last: an interrupted installation is done
# again.
stamp() { cat "$@" | sha256sum; }
python_stamp=$(stamp "$locks/requirements.txt")
node_stamp=$(stamp "$locks/requirements.txt" "$locks/package-lock.json")

if [ "$(cat "$tools/python.stamp" 2>/dev/null)" != "$python_stamp" ]; then
    echo "setup: Python and Node packages into .tools/python" >&2
    rm -rf "$tools/python" "$tools/python.stamp"
    python3 -m venv "$tools/python"
    "$tools/python/bin/pip" install --quiet --disable-pip-version-check --require-hashes --only-binary :all: \
        -r "$locks/requirements.txt" >&2
    echo "$python_stamp" >"$tools/python.stamp"
fi

if [ "$(cat "$tools/node.stamp" 2>/dev/null)" != "$node_stamp" ]; then
    echo "setup: npm packages into .tools/node" >&2
    rm -rf "$tools/node" "$tools/node.stamp"
    mkdir -p "$tools/node"
    cp "$locks/package.json" "$locks/package-lock.json" "$tools/node/"
    PATH="$tools/python/bin:$PATH" npm --prefix "$tools/node" ci --ignore-scripts --no-audit --no-fund --loglevel=error >&2
    echo "$node_stamp" >"$tools/node.stamp"
fi

go_stamp=$(stamp "$locks/est/go.sum")
if [ "$(cat "$tools/go.stamp" 2>/dev/null)" != "$go_stamp" ]; then
    echo "setup: Go programs into .tools/go" >&2
    rm -rf "$tools/go" "$tools/go.stamp"
    mkdir -p "$tools/go"
    (cd "$locks/est" && go build -mod=readonly -o "$tools/go/estclient" github.com/globalsign/est/cmd/estclient)
    echo "$go_stamp" >"$tools/go.stamp"
fi
