//! Messages about key files whose content is wrong.
//!
//! Such a file may hold a secret that exists nowhere else, so no advice changes or removes anything
//! in it: what converts a key writes another file.

use std::path::Path;

use cryptstream_keys::{IdentityError, LineError, RecipientError, SshError, UnsupportedKey};

use super::{Failure, code, quoted};

/// A file of identities whose content is wrong.
pub(crate) fn identities_invalid(path: &Path, error: &LineError<IdentityError>) -> Failure {
    let name = quoted(path);
    let help = match &error.error {
        IdentityError::Empty => return super::no_identity_in(path),
        IdentityError::IsPublic => secret_half(path),
        IdentityError::Ssh(SshError::Kind(_)) => SSH_KIND.to_owned(),
        IdentityError::Ssh(SshError::Scheme(_) | SshError::Costly) => format!(
            "convert it to another file: openssl pkcs8 -topk8 -in {name} -out {name}.new, then use \
             -i {name}.new"
        ),
        IdentityError::Unsupported(other) => match other {
            UnsupportedKey::PublicPem
            | UnsupportedKey::PublicRsaPem
            | UnsupportedKey::PublicSsh2 => secret_half(path),
            other => unsupported_key(*other, &name),
        },
        IdentityError::Utf16 => convert_text(&name),
        _ => check_name(&name),
    };
    failure(path, error, help)
}

/// A file of recipients whose content is wrong.
pub(crate) fn recipients_invalid(path: &Path, error: &LineError<RecipientError>) -> Failure {
    let name = quoted(path);
    let help = match &error.error {
        RecipientError::IsSecret => {
            format!("use -i {name}, or `cryptstream keygen -y {name}` for its recipient")
        }
        RecipientError::Encrypted => {
            format!("use -i {name} if it is a protected identity file")
        }
        RecipientError::Ssh(SshError::Kind(_)) => SSH_KIND.to_owned(),
        RecipientError::BeforeKey => {
            "give only the key with -r, in quotes; it begins with its type, such as ssh-ed25519"
                .to_owned()
        }
        RecipientError::Unsupported(other) => unsupported_key(*other, &name),
        RecipientError::Utf16 => convert_text(&name),
        _ => check_name(&name),
    };
    failure(path, error, help)
}

const SSH_KIND: &str =
    "use an ssh-ed25519 or ssh-rsa key, or generate one with `cryptstream keygen -o FILE`";

fn failure(path: &Path, error: &dyn std::fmt::Display, help: String) -> Failure {
    Failure::new(code::CONFIG, "key-file", error.to_string(), help).about(path)
}

fn check_name(name: &str) -> String {
    format!("check that {name} is the right file")
}

/// Advice to convert the text into another file that only its owner can read.
fn convert_text(name: &str) -> String {
    format!("use a copy of it in UTF-8: (umask 077; iconv -f UTF-16 -t UTF-8 {name} > {name}.utf8)")
}

/// Where the secret half of a public key is.
fn secret_half(path: &Path) -> String {
    let beside = path.with_extension("");
    if path.extension().is_some_and(|extension| extension == "pub") && beside.is_file() {
        return format!("the secret key is needed: use -i {}", quoted(&beside));
    }
    "the secret key is needed: for SSH, the file without .pub, such as ~/.ssh/id_ed25519; \
     otherwise the file that `cryptstream keygen -o` wrote"
        .to_owned()
}

/// What to do about a key of another program.
fn unsupported_key(key: UnsupportedKey, name: &str) -> String {
    match key {
        UnsupportedKey::Putty => format!(
            "convert it to OpenSSH's format, in another file: puttygen {name} -O private-openssh \
             -o {name}.openssh"
        ),
        UnsupportedKey::PgpSecret | UnsupportedKey::PgpPublic => {
            "generate a key with `cryptstream keygen -o FILE`; decrypt files from gpg with gpg"
                .to_owned()
        }
        UnsupportedKey::PublicPem => {
            format!("`ssh-keygen -i -m PKCS8 -f {name}` shows the recipient, if it is an RSA key")
        }
        UnsupportedKey::PublicRsaPem => {
            format!("`ssh-keygen -i -m PEM -f {name}` shows the recipient")
        }
        UnsupportedKey::PublicSsh2 => format!("`ssh-keygen -i -f {name}` shows the recipient"),
        _ => SSH_KIND.to_owned(),
    }
}
