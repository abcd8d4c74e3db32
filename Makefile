# The two commands of the README, and what they stand on. Everything that is installed without apt lands in .tools/ and target/.

.PHONY: help demo test bench setup build golden

help:
	@echo "make demo    the whole story on one screen, from nothing"
	@echo "make test    format, lints and every test, with the real servers they need"
	@echo "make bench   how fast: stages in process, exchanges and plans over HTTP"
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

test: setup
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings
	cargo clippy --locked --lib --no-default-features --features verifier -- -D warnings
	cargo test --locked

# A golden journal that is committed is never written again (tests/golden/journal/README.md).
golden:
	cargo test --locked --lib journal::tests::golden::write -- --ignored

bench: setup
	cargo bench --locked
