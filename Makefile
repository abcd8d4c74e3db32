# The two commands of the README, and what they stand on. Everything that is installed without apt lands in .tools/ and target/.

# The store of the journals of the wire tests: sqlite, postgres, or postgres://… for a server that runs (tests/broker/world/store.rs).
STORE ?= sqlite
export STORE

.PHONY: help demo test faults lint bench bench-scale bench-nodes setup build golden docs docs-reference

help:
	@echo "make demo    the whole story on one screen, from nothing"
	@echo "make test    format, lints, links of the code's documentation and every test, with the real servers they need;"
	@echo "             STORE=postgres has every broker of a test keep its journal in PostgreSQL, STORE=postgres://USER@HOST/DATABASE in yours"
	@echo "make faults ROUNDS=500 SEED=1  kill, stop and cut off what a node needs, and judge what its clients saw"
	@echo "make lint    licences, sources and banned crates of the dependencies (cargo-deny)"
	@echo "make docs    the book of docs/ as HTML, into target/book"
	@echo "make docs-reference  write the parts of docs/ that the code knows"
	@echo "make bench   how fast: stages in process, exchanges and plans over HTTP"
	@echo "make bench-scale  what an exchange, a change, a page and a start cost with few and with many integrations"
	@echo "make bench-nodes  what an exchange costs on one node and on three, and how soon a revocation holds at all of them"
	@echo "make golden  write what no golden journal has yet: only where an entry can say something new"
	@echo "make setup   only install what a bare Debian lacks"

# What compiling needs: a C compiler, OpenSSL's headers (josekit).
build:
	tests/setup/debian.sh build
	cargo build --locked --bin carnet

# Unoptimised on purpose: it is there sooner, and the story takes a third of a second anyway.
demo: build
	cargo run --locked --quiet --bin carnet -- demo

# What the tests need besides: Redis, and Node and Python with the pinned packages of tests/setup.
setup:
	tests/setup/debian.sh build test
	tests/setup/packages.sh

test: setup .tools/bin/s3s-fs
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings
	cargo clippy --locked --lib --no-default-features --features verifier -- -D warnings
	RUSTDOCFLAGS='-D warnings -A rustdoc::private_intra_doc_links' cargo doc --locked --no-deps --lib --document-private-items
	cargo test --locked

# docs/security/fault-rounds.md names the variables. A seed and a number make one round.
faults: setup
	FAULTS_ROUNDS=$(ROUNDS) FAULTS_SEED=$(SEED) FAULTS_FIRST=$(FIRST) FAULTS_NODES=$(NODES) FAULTS_STORE=$(STORE) \
		FAULTS_REDIS=$(REDIS) FAULTS_PROGRAM=$(PROGRAM) FAULTS_PREVIOUS=$(PREVIOUS) cargo test --locked --test broker -- \
		faults::rounds_of_make_faults --exact --ignored --nocapture

# A server of S3's protocol, which verifies signatures: tests keep an archive in it.
.tools/bin/s3s-fs:
	cargo install --quiet --debug --root .tools --locked --version 0.14.1 --features binary s3s-fs

# Programs that neither a build nor a test needs, pinned, from crates.io into .tools/ when they are first wanted.
.tools/bin/mdbook:
	cargo install --quiet --root .tools --locked --version 0.5.4 mdbook --no-default-features --features search
.tools/bin/cargo-deny:
	cargo install --quiet --root .tools --locked --version 0.20.2 cargo-deny

# Not `advisories`: they need a database that cannot be fetched everywhere (deny.toml).
lint: .tools/bin/cargo-deny
	.tools/bin/cargo-deny --locked check bans licenses sources

docs: .tools/bin/mdbook
	.tools/bin/mdbook build docs

# `make test` fails while a page says something else than the code.
docs-reference: build
	cargo test --locked --test broker -- docs::generated::write docs::tests_of_rows::write --ignored

# A golden journal that is committed is never written again (tests/golden/journal/README.md).
golden:
	cargo test --locked --lib journal::tests::golden::write -- --ignored

bench: setup
	cargo bench --locked --bench stages --bench plan --bench change --bench exchange

# Takes long: the largest installation has a hundred thousand integrations, and a million entries.
# One binary of the tests has the stage; the nodes run the program as it is released.
bench-nodes: setup
	cargo build --locked --release --bin carnet
	FAULTS_PROGRAM=$(CURDIR)/target/release/carnet cargo test --locked --test broker -- --ignored --nocapture --test-threads 1 \
		faults::speed_of_nodes faults::effect_of_revocations faults::return_of_clients faults::wait_beside_a_greedy_client

bench-scale: setup
	cargo bench --locked --bench scale -- integrations=1,1000,10000,100000
	cargo bench --locked --bench scale -- integrations=10 revocations=0,10000,1000000
	cargo bench --locked --bench scale -- integrations=10 issued=1000000
	cargo bench --locked --bench memory -- integrations=100000
