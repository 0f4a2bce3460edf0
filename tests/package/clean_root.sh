#!/usr/bin/env bash
# Run by ci/package.sh as root of a clean Debian: installs /cryptstream.deb, uses
# what it brought, and removes it. /made names the pages and completions that
# were written for it.
set -euo pipefail
cd /root

passed=0
exec 3>&1
ok() {
    timeout 120 "$@" || { echo "FAILED ($?): $*" >&3; exit 1; }
    passed=$((passed + 1))
}
# All files but logs and what dpkg notes with every call.
listing() {
    find / -xdev \( -path /proc -o -path /root -o -path /var/log \) -prune -o -print |
        grep -Ev '^/var/lib/dpkg/([^/]*|triggers/.*)$' | sort
}

listing > before
ok dpkg --install /cryptstream.deb > log
ok dpkg --verify cryptstream > verified
ok test ! -s verified
ok grep -q '^cryptstream [0-9]' <(cryptstream --version)

# Both formats, with workers.
ok cryptstream keygen -o id 2> /dev/null
# From 128 MiB on, age files need OpenSSL.
head -c 130M /dev/urandom > large
head -c 4096 /dev/urandom > small
for format in native age; do
    ok cryptstream encrypt --format $format -i id -v --processes 2 large sealed 2> words
    ok grep -q '2 workers' words
    ok cryptstream decrypt -i id -v --processes 2 sealed opened 2> words
    ok grep -q '2 workers' words
    ok cmp large opened
    ok cryptstream encrypt --format $format -i id --force small sealed
    ok cryptstream decrypt -i id --force sealed opened
    ok cmp small opened
    rm sealed opened
done
# Another key does not open it, and leaves nothing.
ok cryptstream encrypt -i id small sealed
ok cryptstream keygen -o other 2> /dev/null
status=0
cryptstream decrypt -i other sealed opened 2> words || status=$?
ok test $status -eq 77
ok test ! -e opened

# Manual pages and completions stand where man and the shells look for them.
ok grep -q '^man/cryptstream.1.gz$' /made
while read -r file; do
    case $file in
        man/*) place=/usr/share/man/man1/${file#man/} ;;
        *.bash) place=/usr/share/bash-completion/completions/cryptstream ;;
        *.zsh) place=/usr/share/zsh/vendor-completions/_cryptstream ;;
        *.fish) place=/usr/share/fish/vendor_completions.d/cryptstream.fish ;;
    esac
    ok test -s "$place"
    [[ $file != man/* ]] || ok gzip --test "$place"
done < /made
# As the shell does when Tab is pressed behind the name.
ok bash -c '. /usr/share/bash-completion/completions/cryptstream && complete -p cryptstream' > words
for file in copyright README.md SECURITY.md changelog.gz changelog.Debian.gz docs/format.md; do
    ok test -s /usr/share/doc/cryptstream/$file
done

ok dpkg --purge cryptstream > log
listing > after
ok diff before after
echo "package: $passed checks passed in a clean root"
