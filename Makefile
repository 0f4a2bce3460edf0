# For those who type `make`; Cargo does the work.
PREFIX ?= /usr/local

.PHONY: all test bench install deb clean
all:
	cargo build --release --bin cryptstream

test:
	cargo test --workspace

bench:
	bench/peers.sh

install: all
	install -D -m 755 target/release/cryptstream $(DESTDIR)$(PREFIX)/bin/cryptstream

deb:
	ci/package.sh deb

clean:
	cargo clean
