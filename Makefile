# For those who type `make`; Cargo does the work.
PREFIX ?= /usr/local

.PHONY: all test bench install deb static sbom clean
all:
	cargo build --release --bin cryptstream

test:
	cargo test --workspace

bench:
	bench/peers.sh

install: all
	install -D -m 755 target/release/cryptstream $(DESTDIR)$(PREFIX)/bin/cryptstream

# A Debian package; ci/package.sh also tries it in a clean root.
deb:
	ci/package.sh deb

# A program that needs no library of the system.
static:
	ci/static.sh

sbom:
	ci/sbom.sh

clean:
	cargo clean
