//! Answers to what users of other programs type: the right name, or the way to do it.

use std::path::Path;

use super::{Failure, code, quoted};
pub(crate) const NAME_THE_COMMAND: &str =
    "name the command first: `cryptstream encrypt ...` or `cryptstream decrypt ...`";

const PASSPHRASE: &str = "use -p to be asked for a passphrase, or --passphrase-file FILE; with \
     --key TEXT, other users can see it for a moment";
const TO_STDOUT: &str = "name `-` as the OUTPUT for standard output";
const FORCE: &str = "use --force to replace an output";
const DECRYPT: &str = "use `cryptstream decrypt`";
const ENCRYPT: &str = "use `cryptstream encrypt`";
const VERIFY: &str = "use `cryptstream verify FILE`";
const KEEP: &str = "inputs are kept unless you say --remove-source";
const ONE_CIPHER: &str = "leave it out: each format has one cipher";
const COST: &str = "leave it out: passphrases always go through a slow key derivation; --argon2id \
     MEM,T,P sets its cost";
const LIST: &str = "use `cryptstream list ARCHIVE`, or `cryptstream inspect FILE` for any file";
const UNPACK: &str = "use `cryptstream decrypt --extract ARCHIVE [FOLDER]`";
const PACK: &str = "use `cryptstream encrypt --archive FOLDER [OUTPUT]`";
const ZSTD: &str = "use --archive --zstd for a folder; compress a file first: \
                    `zstd < FILE | cryptstream encrypt - FILE.zst.enc`";
const NO_SIGNATURES: &str =
    "files are encrypted, not signed; sign them with minisign or `ssh-keygen -Y sign`";
const KEYGEN: &str = "use `cryptstream keygen -o FILE`";
const NAME: &str = "name the OUTPUT: `cryptstream encrypt - NAME.enc`";

/// Translates a flag of another program, for the command that it was given to.
pub(crate) fn for_flag(command: Option<&str>, flag: &str) -> Option<String> {
    if let Some(help) = for_key_flag(command, flag) {
        return Some(help.to_owned());
    }
    let is_encrypt = command == Some("encrypt");
    let is_decrypt = command == Some("decrypt");
    let help = match flag {
        "--password" | "--passwd" | "--pass" | "--pw" | "--passphrase-stdin"
        | "--stdin-password" => PASSPHRASE,
        "-k" => "for a passphrase use -p or --passphrase-file FILE; inputs are kept anyway",
        "-c" if is_encrypt => {
            "for a passphrase (gpg -c) use -p; for standard output (gzip -c) name `-` as the OUTPUT"
        }
        "--symmetric" => "use -p to be asked for a passphrase",
        "-c" | "--stdout" | "--to-stdout" => TO_STDOUT,
        "-d" | "--decrypt" | "--decompress" | "--uncompress" if !is_decrypt => DECRYPT,
        "-d" | "--decrypt" => "leave it out: this command decrypts",
        "-e" | "--encrypt" | "--seal" if !is_encrypt => ENCRYPT,
        "-e" | "--encrypt" | "--seal" => "leave it out: this command encrypts",
        "-t" | "--test" | "--check" => VERIFY,
        "-l" | "--list" | "--list-packets" => LIST,
        "-x" | "--untar" | "--unpack" if is_decrypt => "use --extract to unpack an archive",
        "-C" | "--directory" if is_decrypt => "name the folder as the OUTPUT",
        "--strip-components" => {
            "leave --extract out: `mkdir NEW && cryptstream decrypt ARCHIVE - | tar -x -C NEW ...`"
        }
        "--tar" | "--pack" if is_encrypt => "use --archive to pack a folder into one file",
        "-z" | "-Z" | "--compress" | "--gzip" | "--compression" | "--level" | "--fast"
        | "--best" | "--compress-level" | "--compress-algo" | "--lz4" | "--xz" => ZSTD,
        "-1" | "-2" | "-3" | "-4" | "-5" | "-6" | "-7" | "-8" | "-9" => ZSTD,
        "--rm"
        | "--remove"
        | "--delete-source"
        | "--remove-source-files"
        | "--delete-original"
        | "--shred" => "use --remove-source to delete an input once its output is safe",
        "--keep" => KEEP,
        "-y" | "--yes" | "--overwrite" | "--clobber" | "--replace" => FORCE,
        "--batch" | "--no-tty" | "--pinentry-mode" | "--noninteractive" | "--non-interactive" => {
            "leave it out: without a terminal, nothing is asked"
        }
        "--recursive" | "-a" if flag == "--recursive" || !is_encrypt => {
            "leave it out: folders are always processed with everything in them"
        }
        "-u" | "--update" | "--newer-than" => "use --newer to replace outputs that are out of date",
        "-s" | "--sign" | "--local-user" | "--clearsign" | "--detach-sign" => NO_SIGNATURES,
        "--cipher" | "--cipher-algo" | "--algorithm" | "--algo" | "--digest" | "--mode" => {
            ONE_CIPHER
        }
        "--iter" | "--iterations" | "--pbkdf2" | "--s2k-count" | "--s2k-mode" | "--kdf" => COST,
        "--suffix" | "-S" => "name the OUTPUT; without one it gets .enc, or .age with --format age",
        "--stdin-name" | "--stdin-filename" => NAME,
        "--in" | "--input" | "--infile" | "--input-file" => "name the INPUT without a flag",
        "--out" | "--outfile" | "--output-file" => "use -o, or name the OUTPUT after the INPUT",
        "--outdir" | "--out-dir" | "--target-directory" => "use --output-dir DIR",
        "--parallel" | "--workers" | "--jobs" | "--cores" | "-P" => {
            "use -j N, which is --processes N; 0 for none"
        }
        "--identity-file" | "--private-key" | "--secret-key" | "--keyfile" | "--key-file"
        | "--secret-keyring" => {
            "use -i FILE for an identity, --passphrase-file FILE for a passphrase"
        }
        "--public-key" | "--pubkey" | "--recipient-file" | "--to" => {
            "use -r RECIPIENT, or -R FILE for a file of recipients"
        }
        "--generate-key" | "--gen-key" | "--full-generate-key" | "--keygen" | "--generate" => {
            KEYGEN
        }
        "--include-from" => "use --include GLOB for each pattern, or --files-from FILE for names",
        "--silent" => "use --quiet",
        "--no-progress" => "use --progress never",
        "--follow" | "--dereference" | "-L" => {
            "leave it out: a link that you name is followed, and links in a folder stay links"
        }
        "--one-file-system" | "--xdev" => "use --exclude for what is mounted in the folder",
        "--preserve" | "--perms" | "--times" => {
            "leave it out: folders keep times and permissions, and so does an archive"
        }
        "--armour" | "--ascii" | "--base64" if is_encrypt => "use --armor",
        "--armor" | "--armour" | "--ascii" | "--base64" | "-a" | "-A" => {
            "leave it out: armor is detected automatically"
        }
        "--checksum" => "use `cryptstream verify`; --verify-output compares when writing",
        "--info" | "--show" => "use `cryptstream inspect FILE`",
        _ => return None,
    };
    Some(help.to_owned())
}

/// Does the same for a flag that names a key for another command of this program.
fn for_key_flag(command: Option<&str>, flag: &str) -> Option<&'static str> {
    let is_recipient = ["-r", "--recipient", "-R", "--recipients-file"].contains(&flag);
    let is_old = ["-i", "--identity", "-p", "--passphrase", "--key", "--passphrase-file"];
    match command? {
        "rekey" if is_recipient => Some(
            "use --new-recipient RECIPIENT or --new-recipients-file FILE; those given replace all \
             recipients of the file",
        ),
        "decrypt" | "verify" | "list" if is_recipient => {
            Some("use -i FILE, with the identity of a recipient")
        }
        "inspect" if is_recipient || is_old.contains(&flag) => {
            Some("leave it out: no key is needed; `cryptstream verify` checks a file with a key")
        }
        _ => None,
    }
}

/// Does the same for flags of `openssl enc`, which have one hyphen and would be taken for several
/// short flags.
pub(crate) fn of_openssl(command: Option<&str>, word: &str) -> Option<String> {
    if !matches!(command, None | Some("encrypt" | "decrypt")) {
        return None;
    }
    match word {
        "-in" | "-out" | "-pass" | "-iter" | "-pbkdf2" => for_flag(command, &format!("-{word}")),
        "-kfile" => Some("use --passphrase-file FILE".to_owned()),
        "-salt" | "-nosalt" | "-nopad" => {
            Some("leave it out: every file has its own salt".to_owned())
        }
        "-base64" => for_flag(command, "--base64"),
        _ if ["-aes-", "-aes1", "-aes2", "-camellia", "-chacha", "-des"]
            .iter()
            .any(|start| word.starts_with(start)) =>
        {
            Some(ONE_CIPHER.to_owned())
        }
        _ => None,
    }
}

/// Translates a command of another program.
pub(crate) fn for_command(word: &str) -> Option<&'static str> {
    Some(match word {
        "enc" | "seal" | "lock" | "crypt" => ENCRYPT,
        "dec" | "open" | "unseal" | "unlock" => DECRYPT,
        "cat" => "use `cryptstream decrypt FILE -`",
        "extract" | "untar" | "unpack" | "restore" => UNPACK,
        "archive" | "create" | "pack" | "tar" => PACK,
        "backup" | "sync" | "mirror" | "copy" | "cp" => {
            "use `cryptstream encrypt FOLDER COPY`; run it again with --newer after changes"
        }
        "test" | "check" | "fsck" => VERIFY,
        "ls" | "l" | "t" => LIST,
        "info" | "show" | "file" | "stat" => "use `cryptstream inspect FILE`",
        "genkey" | "gen-key" | "generate" | "key" | "keys" | "init" | "new" | "generate-key" => {
            KEYGEN
        }
        "passwd" | "password" | "rotate" | "change-passphrase" | "reencrypt" | "re-encrypt" => {
            "use `cryptstream rekey FILE`, with --reencrypt for a new file key as well"
        }
        "bench" | "speed" => "use `cryptstream benchmark`",
        "completion" => "use `cryptstream completions SHELL`",
        "manual" => "use `cryptstream man`",
        "version" => "use `cryptstream --version`",
        _ => return None,
    })
}

/// A file was named, and no command.
pub(crate) fn command_for_file(path: &Path) -> String {
    let is_encrypted = path.extension().is_some_and(|end| end == "enc" || end == "age");
    let command = if is_encrypted { "decrypt" } else { "encrypt" };
    format!("name the command first: `cryptstream {command} {}`", quoted(path))
}

pub(crate) fn unknown_flag(flag: &str, help: &str) -> Failure {
    let name = flag.split('=').next().unwrap_or_default();
    Failure::new(code::USAGE, "usage", format!("unexpected argument '{name}' found"), help)
}

pub(crate) fn unknown_command(word: &str, help: &str) -> Failure {
    let message = format!("unrecognized subcommand {}", shown(word));
    Failure::new(code::USAGE, "usage", message, help)
}

fn shown(word: &str) -> String {
    match quoted(Path::new(word)) {
        text if text == word => format!("'{text}'"),
        escaped => escaped,
    }
}

/// `--passphrase=TEXT`, whose text is not printed.
pub(crate) fn passphrase_takes_no_value() -> Failure {
    let message = "--passphrase asks on the terminal, and takes no value";
    let help = "use --passphrase-file FILE; with --key TEXT, other users can see it for a moment";
    Failure::new(code::USAGE, "usage", message, help)
}

/// `--zstd 19`: a level that would be taken for the INPUT.
pub(crate) fn zstd_level(level: &str) -> Failure {
    let message = format!("--zstd {level}: the level needs an equals sign");
    Failure::new(code::USAGE, "usage", message, format!("write --zstd={level}"))
}
