# For those who type `make`; Cargo does the work.
PREFIX ?= /usr/local
# The static program if `make` has built one.
PROGRAM = $(shell ci/static.sh program)
BINDIR = $(DESTDIR)$(PREFIX)/bin
LIBEXECDIR = $(DESTDIR)$(PREFIX)/libexec/cryptstream
DATADIR = $(DESTDIR)$(PREFIX)/share
MANDIR = $(DATADIR)/man/man1
COMPLETIONS = \
	bash-completion/completions/cryptstream \
	zsh/site-functions/_cryptstream \
	fish/vendor_completions.d/cryptstream.fish

.PHONY: all test bench install uninstall deb static sbom clean
# Static where the system can link that: it starts sooner.
all:
	ci/static.sh build || cargo build --release --package cryptstream

test:
	cargo test --workspace

bench:
	bench/peers.sh

# The program and the one that talks to object stores, manual pages and completions. DESTDIR is put in front of all names.
install: all
	install -D -m 755 "$(PROGRAM)" "$(BINDIR)/cryptstream"
	install -D -m 755 "$$(dirname "$(PROGRAM)")/cryptstream-transport" \
		"$(LIBEXECDIR)/cryptstream-transport"
	install -d -m 755 "$(MANDIR)"
	"$(PROGRAM)" man --force "$(MANDIR)"
	chmod 644 "$(MANDIR)"/cryptstream.1 "$(MANDIR)"/cryptstream-*.1
	for file in $(COMPLETIONS); do \
		case $$file in bash*) shell=bash ;; zsh*) shell=zsh ;; *) shell=fish ;; esac; \
		install -D -m 644 /dev/null "$(DATADIR)/$$file" && \
		"$(PROGRAM)" completions $$shell > "$(DATADIR)/$$file" || exit 1; \
	done

uninstall:
	rm -f "$(BINDIR)/cryptstream" "$(LIBEXECDIR)/cryptstream-transport"
	rmdir "$(LIBEXECDIR)" 2> /dev/null || true
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
