#!/usr/bin/env bash
# Tries every form of key that ssh-keygen, openssl and puttygen write (types, ciphers,
# containers): each key decrypts what was encrypted to its public half, or is refused by
# name. Then the advice of the message is followed, and the key that it makes must decrypt.
#
#     ci/keys.sh [PROGRAM]
#
# Without PROGRAM the debug build is used. What is not installed is skipped and named.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

program=${1:-}
if [[ -z $program ]]; then
    cargo build --quiet --locked --package cryptstream --bin cryptstream
    program=${CARGO_TARGET_DIR:-target}/debug/cryptstream
fi
program=$(realpath "$program")
for tool in ssh-keygen openssl puttygen; do
    command -v "$tool" > /dev/null || echo "keys: $tool is not installed: its forms are skipped"
done

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
umask 077
word=horse
printf '%s' "$word" > word
echo content > plain
passed=0 failed=0

# Runs the program, with the passphrase of all keys.
cs() { "$program" "$@" --identity-passphrase-file word --no-config; }

fail() {
    echo "FAILED: $*"
    failed=$((failed + 1))
}

# KEY PUBLIC: encrypts to the public half, which another program has shown, and decrypts with
# the key.
opens() {
    rm -f sealed.age opened
    if "$program" encrypt --no-config --quiet -R "$2" plain sealed.age \
        && cs decrypt --quiet -i "$1" sealed.age opened && cmp -s plain opened; then
        passed=$((passed + 1))
    else
        fail "$1 does not open what is encrypted to $2"
    fi
}

# KEY WORDS: the key is refused by name, with exit status 78, and is not changed.
refused() {
    local before status=0
    before=$(sha256sum < "$1")
    rm -f opened
    cs decrypt -i "$1" plain opened 2> said || status=$?
    if [[ $status == 78 && $before == "$(sha256sum < "$1")" && ! -e opened ]] \
        && grep -qF -- "$2" said && grep -q '^help: ' said; then
        passed=$((passed + 1))
    else
        fail "$1: status $status: $(cat said)"
    fi
}

# KEY PUBLIC COMMAND...: what makes NEW of a key, as the message says, with a passphrase
# where it would ask for one; the original stays as it is, and the new file opens.
advised() {
    local key=$1 public=$2 before
    shift 2
    before=$(sha256sum < "$key")
    grep -qF -- "$1 $2" said || fail "$key: the advice is another one: $(cat said)"
    "$@" > /dev/null 2>&1 || fail "$key: the advice does not work: $*"
    [[ $before == "$(sha256sum < "$key")" ]] || fail "$key: the advice has changed the key"
    opens "$key.new" "$public"
}

has() { command -v "$1" > /dev/null; }

if has ssh-keygen; then
    for type in ed25519 rsa ecdsa dsa; do
        # OpenSSH 10 makes no DSA keys.
        ssh-keygen -q -t "$type" -N '' -f "$type" 2> /dev/null || continue
        ssh-keygen -q -t "$type" -a 2 -N "$word" -f "$type.locked"
        for form in PEM PKCS8; do
            # What a form has no room for is written in OpenSSH's own.
            ssh-keygen -q -t "$type" -m "$form" -N '' -f "$type.$form" 2> /dev/null || continue
            ssh-keygen -q -t "$type" -m "$form" -a 2 -N "$word" -f "$type.$form.locked"
        done
    done
    for key in {ed25519,rsa}{,.PEM,.PKCS8}{,.locked}; do
        if [[ -e $key ]]; then opens "$key" "$key.pub"; fi
    done
    for key in {ecdsa,dsa}{,.PEM}; do
        if [[ -e $key ]]; then refused "$key" "${key%%.*}" 2> /dev/null || true; fi
    done
    # Every cipher that this ssh-keygen has.
    for cipher in $(ssh -Q cipher); do
        for type in ed25519 rsa; do
            cp "$type" "$type.$cipher"
            ssh-keygen -q -p -Z "$cipher" -a 2 -P '' -N "$word" -f "$type.$cipher" > /dev/null
            opens "$type.$cipher" "$type.pub"
        done
    done
    # Public halves in other forms: the advice shows the recipient.
    for form in RFC4716 PKCS8 PEM; do
        ssh-keygen -e -m "$form" -f rsa.pub > "public.$form"
        "$program" encrypt --no-config -R "public.$form" plain out 2> said && fail "public.$form"
        if command=$(grep -o 'ssh-keygen -i [^`]*' said) \
            && [[ $($command | cut -d ' ' -f 2) == "$(cut -d ' ' -f 2 rsa.pub)" ]]; then
            passed=$((passed + 1))
        else
            fail "public.$form: $(cat said)"
        fi
    done
    # A copy can be protected in another way while the key stays.
    cp ed25519.locked ed25519.locked.copy
    ssh-keygen -q -p -a 24 -P "$word" -N "$word" -f ed25519.locked.copy > /dev/null
    opens ed25519.locked.copy ed25519.locked.pub
fi

# PEM: the public half of a key as a line of SSH.
line_of() { cs keygen -y "$1"; }

if has openssl; then
    openssl genpkey -quiet -algorithm ed25519 -out o.ed25519 2> /dev/null \
        || openssl genpkey -algorithm ed25519 -out o.ed25519
    openssl genpkey -algorithm rsa -pkeyopt rsa_keygen_bits:2048 -out o.rsa 2> /dev/null
    # ssh-keygen is the judge of the RSA key, and of the other its own round trip below.
    openssl pkey -in o.rsa -pubout -out o.rsa.public
    if has ssh-keygen; then ssh-keygen -i -m PKCS8 -f o.rsa.public > o.rsa.pub; else line_of o.rsa > o.rsa.pub; fi
    line_of o.ed25519 > o.ed25519.pub
    cs keygen -y o.rsa | cut -d ' ' -f 2 | cmp -s - <(cut -d ' ' -f 2 o.rsa.pub) || fail "o.rsa: another public half"
    for type in ed25519 rsa; do
        key=o.$type
        opens "$key" "$key.pub"
        while read -r name options; do
            # shellcheck disable=SC2086 # several words
            openssl pkcs8 -topk8 $options -in "$key" -passout "pass:$word" -out "$key.$name"
            opens "$key.$name" "$key.pub"
        done <<- 'FORMS'
			usual
			aes128 -v2 aes-128-cbc
			aes192 -v2 aes-192-cbc
			aes256 -v2 aes-256-cbc
			des3 -v2 des3
			sha1 -v2 aes-256-cbc -v2prf hmacWithSHA1
			sha224 -v2 aes-256-cbc -v2prf hmacWithSHA224
			sha384 -v2 aes-256-cbc -v2prf hmacWithSHA384
			sha512 -v2 aes-256-cbc -v2prf hmacWithSHA512
			scrypt -scrypt
			often -v2 aes-256-cbc -iter 600000
		FORMS
        while read -r name options; do
            # shellcheck disable=SC2086 # several words
            openssl pkcs8 -topk8 $options -in "$key" -passout "pass:$word" -out "$key.$name"
            refused "$key.$name" "not supported"
            advised "$key.$name" "$key.pub" openssl pkcs8 -topk8 -in "$key.$name" \
                -out "$key.$name.new" -passin "pass:$word" -passout "pass:$word"
        done <<- 'FORMS'
			camellia -v2 camellia-256-cbc
			aria -v2 aria-256-cbc
			pbe -v1 PBE-SHA1-3DES
		FORMS
    done
    for cipher in aes128 aes192 aes256 des des3; do
        openssl rsa -in o.rsa -traditional "-$cipher" -passout "pass:$word" -out "o.rsa.old-$cipher" 2> /dev/null
        opens "o.rsa.old-$cipher" o.rsa.pub
    done
    openssl rsa -in o.rsa -traditional -out o.rsa.old 2> /dev/null
    opens o.rsa.old o.rsa.pub
    openssl rsa -in o.rsa -traditional -camellia128 -passout "pass:$word" -out o.rsa.old-camellia 2> /dev/null
    refused o.rsa.old-camellia CAMELLIA-128-CBC
    advised o.rsa.old-camellia o.rsa.pub openssl pkcs8 -topk8 -in o.rsa.old-camellia \
        -out o.rsa.old-camellia.new -passin "pass:$word" -passout "pass:$word"
    for type in x25519 x448 ed448 rsa-pss; do
        openssl genpkey -algorithm "$type" -out "o.$type" 2> /dev/null
        refused "o.$type" "kind $type"
    done
    openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out o.ec
    refused o.ec "kind ecdsa"
fi

if has puttygen && has ssh-keygen; then
    for type in ed25519 rsa; do
        puttygen "$type" -O private -o "$type.ppk"
        refused "$type.ppk" PuTTY
        command=$(grep -o 'puttygen .*' said)
        $command
        opens "$type.ppk.openssh" "$type.pub"
    done
fi

for flag in "" --pq; do
    # shellcheck disable=SC2086 # no word at all
    "$program" keygen --quiet $flag -o "own$flag"
    "$program" keygen -y "own$flag" > "own$flag.pub"
    opens "own$flag" "own$flag.pub"
    "$program" encrypt --no-config --argon2id 64MiB --passphrase-file word "own$flag" "own$flag.enc"
    opens "own$flag.enc" "own$flag.pub"
done

echo "keys: $passed passed, $failed failed"
[[ $failed == 0 ]]
