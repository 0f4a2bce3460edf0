# For those who type `make`; Cargo does the work.
PREFIX ?= /usr/local
PROGRAM = $(or $(CARGO_TARGET_DIR),target)/release/cryptstream
BINDIR = $(DESTDIR)$(PREFIX)/bin
DATADIR = $(DESTDIR)$(PREFIX)/share
MANDIR = $(DATADIR)/man/man1
COMPLETIONS = \
	bash-completion/completions/cryptstream \
	zsh/site-functions/_cryptstream \
	fish/vendor_completions.d/cryptstream.fish

.PHONY: all test bench install uninstall deb static sbom clean
all:
	cargo build --release --bin cryptstream

test:
	cargo test --workspace

bench:
	bench/peers.sh

# The program, its manual pages and completions. DESTDIR is put in front of all names.
install: all
	install -D -m 755 "$(PROGRAM)" "$(BINDIR)/cryptstream"
	install -d -m 755 "$(MANDIR)"
	"$(PROGRAM)" man --force "$(MANDIR)"
	chmod 644 "$(MANDIR)"/cryptstream.1 "$(MANDIR)"/cryptstream-*.1
	for file in $(COMPLETIONS); do \
		case $$file in bash*) shell=bash ;; zsh*) shell=zsh ;; *) shell=fish ;; esac; \
		install -D -m 644 /dev/null "$(DATADIR)/$$file" && \
		"$(PROGRAM)" completions $$shell > "$(DATADIR)/$$file" || exit 1; \
	done

uninstall:
	rm -f "$(BINDIR)/cryptstream"
	rm -f "$(MANDIR)"/cryptstream.1 "$(MANDIR)"/cryptstream-*.1
	for file in $(COMPLETIONS); do rm -f "$(DATADIR)/$$file"; done

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
