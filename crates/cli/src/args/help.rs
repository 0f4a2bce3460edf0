//! What `--help` says beyond the flags, and the manual with it.
//!
//! A line that ends in a colon is a heading, and becomes a section of the manual
//! page. Below it what is indented by two is text, by four or more a command or
//! a table, line by line. Every command that stands under "Examples:" is run or
//! at least parsed by a test.

pub(crate) const ROOT: &str = "\
Examples:
  Seal a file with a passphrase that is asked for, and open it again:
    cryptstream encrypt -p notes.txt
    cryptstream decrypt -p notes.txt.enc again.txt
  Make a key pair, seal for it, and open with it:
    cryptstream keygen -o me.key
    cryptstream encrypt -i me.key video.mp4
    cryptstream decrypt -i me.key video.mp4.enc again.mp4
  `cryptstream COMMAND --help` has more for each command.

Exit status:
    0   done
    64  usage
    65  damaged or not authentic
    66  input missing or unreadable
    70  a bug in cryptstream
    73  output exists or cannot be created
    74  read or write failed (disk full)
    75  try again
    77  no key fits
    78  configuration

Environment:
  Without a flag that names a key, the passphrase is taken from the environment
  variable CRYPTSTREAM_PASSPHRASE. Of the defaults below each has a variable too;
  NO_COLOR turns colours off.

Configuration:
  Defaults of your own stand in ~/.config/cryptstream/config.toml. Flags win over
  environment variables, and those over the file; `cryptstream config --help` says
  what may stand there.

Nothing appears under the output's name until everything is written and verified.";

pub(crate) const ENCRYPT: &str = "\
Examples:
  With a passphrase that is asked for, to notes.txt.enc:
    cryptstream encrypt -p notes.txt
  With a passphrase from a file, for scripts:
    cryptstream encrypt --passphrase-file pass.txt notes.txt copy.enc
  For somebody's public key, and for your own:
    cryptstream encrypt -R friend.pub -R me.pub video.mp4
  For age and other programs of that format, as text that can be mailed:
    cryptstream encrypt --armor -R friend.pub notes.txt notes.age
  A pipe:
    tar -c photos | cryptstream encrypt -R me.pub - photos.tar.enc
  A folder, each file for itself; called again it does what is new or newer:
    cryptstream encrypt -R me.pub --newer photos photos.sealed
  A folder as one archive, compressed, which hides the names:
    cryptstream encrypt -R me.pub --archive --zstd photos album.enc
  Remove the input, once the output was read again and compared with it:
    cryptstream encrypt -R me.pub --remove-source db.dump
  Only to try it out, since others can see the passphrase for a moment:
    cryptstream encrypt notes.txt output.enc --key mykey";

pub(crate) const DECRYPT: &str = "\
Examples:
  With the passphrase, which is asked for (on a terminal without -p too), to notes.txt:
    cryptstream decrypt -p notes.txt.enc
  With your identity, under another name:
    cryptstream decrypt -i me.key video.mp4.enc again.mp4
  Into a pipe, which gets what has been verified only:
    cryptstream decrypt -i me.key photos.tar.enc - | tar -t
  A folder:
    cryptstream decrypt -i me.key photos.sealed photos.again
  An archive, into a folder that appears when all of it is verified:
    cryptstream decrypt -i me.key --extract photos.tar.enc unpacked
  The last KiB, without reading the rest:
    cryptstream decrypt -i me.key --range -1KiB video.mp4.enc tail.bin
  What is intact of a damaged file:
    cryptstream decrypt -i me.key --salvage damaged.enc rest.bin";

pub(crate) const INSPECT: &str = "\
Examples:
  What a file is, and how many keys open it:
    cryptstream inspect notes.txt.enc
  Several, for a program:
    cryptstream inspect --json notes.txt.enc video.mp4.enc";

pub(crate) const VERIFY: &str = "\
Examples:
  Is last year's copy still intact?
    cryptstream verify -i me.key video.mp4.enc
  All files of a folder:
    cryptstream verify -i me.key photos.sealed

Notes:
  Of a folder, a terminal shows the files that are not intact, and the total; -v
  shows all. Elsewhere every file has a line, as with sha256sum -c.";

pub(crate) const LIST: &str = "\
Examples:
  What is in an archive, made here or by tar:
    cryptstream list -i me.key photos.tar.enc
  In several archives:
    cryptstream list -i me.key *.tar.enc
  For a program:
    cryptstream list -i me.key --json photos.tar.enc";

pub(crate) const REKEY: &str = "\
Examples:
  From now on for two public keys, which replace all keys that it had:
    cryptstream rekey -i me.key --new-recipients-file friend.pub --new-identity me.key video.mp4.enc
  Another passphrase:
    cryptstream rekey --passphrase-file pass.txt --new-passphrase-file new.txt notes.txt.enc
  All encrypted files in a folder:
    cryptstream rekey -i me.key --new-recipients-file friend.pub photos.sealed

Notes:
  Of several files, failures are reported and the rest continues. After an interruption
  run it again with the old keys and the new: files that have the new keys already get
  them once more.

  Rekeying gives a file another header; its content stays as it is. That takes no
  longer for a large file, as long as the new header fits into the old one's place
  (files from 1 MiB on have room for 41 public keys, age files for as many as they
  had) or the file system can share blocks (Btrfs, XFS). Otherwise, and where it is
  small, the file is written anew; -v and --json say which it was. Whenever it is
  interrupted, the old file or the new one is there.

  It is not revocation. Whoever could read the file can still read a copy that was
  kept, and the key that the content is sealed with stays the same; the old header
  may also live on in snapshots, backups and freed blocks. With --reencrypt the
  content is sealed anew under another key, which takes as long as encrypting it.

  The configuration names no new keys: those are always named by flags.";

pub(crate) const KEYGEN: &str = "\
Examples:
  A new identity, which is secret; its recipient is shown:
    cryptstream keygen -o new.key
  Its recipient once more, which is public:
    cryptstream keygen -y new.key > new.pub
  One that withstands quantum computers:
    cryptstream keygen --pq -o pq.key";

pub(crate) const BENCHMARK: &str = "\
Examples:
  A short one:
    cryptstream benchmark --runs 3 --max-size 64KiB
  With a file of yours, and a page with charts:
    cryptstream benchmark --runs 3 --file video.mp4 --report speed.html";

pub(crate) const CONFIG: &str = "\
Examples:
  What is in force here:
    cryptstream config
  For a program, without the file:
    cryptstream config --json --no-config

The file:
  That which CRYPTSTREAM_CONFIG names; otherwise cryptstream/config.toml in
  XDG_CONFIG_HOME, or in ~/.config. It is TOML, and all of it may be left out:
    recipients       = [\"age1...\", \"ssh-ed25519 ...\"]
    recipients-files = [\"~/keys/team.txt\"]
    identity         = [\"~/keys/me.key\"]
    format           = \"native\"       # or \"age\"
    processes        = \"auto\"         # or a number, 0 for none
    sandbox          = \"auto\"         # or \"require\", \"off\"
    progress         = \"auto\"         # or \"always\", \"never\", \"json\"
    color            = \"auto\"         # or \"always\", \"never\"
    argon2id         = \"256MiB,3,4\"   # cost of a passphrase
    scrypt           = 18             # the same in files of age
    plugin-timeout   = 120            # seconds; 0 for ever
  Names are taken from the folder of the file where they do not begin with / or ~/.
  A passphrase never stands there. The file is refused if another user than root owns
  it, or if others may write to it; your own private group may.

Environment:
  The same defaults, stronger than the file. Several recipients stand one a line,
  several files with : between them; an empty variable counts as none.
    CRYPTSTREAM_RECIPIENT  CRYPTSTREAM_RECIPIENTS_FILE  CRYPTSTREAM_IDENTITY
    CRYPTSTREAM_FORMAT     CRYPTSTREAM_PROCESSES        CRYPTSTREAM_SANDBOX
    CRYPTSTREAM_PROGRESS   CRYPTSTREAM_ARGON2ID         CRYPTSTREAM_SCRYPT
    CRYPTSTREAM_COLOR      CRYPTSTREAM_PLUGIN_TIMEOUT

Keys:
  Keys of several places are never mixed. Where a flag names a key, no other counts;
  otherwise those of the environment, and only where it has none those of the file.
  CRYPTSTREAM_PASSPHRASE is one of the environment, and encrypts alone.
  `encrypt` seals for recipients and recipients-files; where there are none, for
  the owner of identity. `decrypt`, `verify` and `rekey` open with identity.";

pub(crate) const COMPLETIONS: &str = "\
Examples:
  For bash, in a folder that it looks into by itself:
    mkdir -p ~/.local/share/bash-completion/completions
    cryptstream completions bash > ~/.local/share/bash-completion/completions/cryptstream
  For zsh, where ~/.zfunc is in fpath before compinit is called:
    mkdir -p ~/.zfunc
    cryptstream completions zsh > ~/.zfunc/_cryptstream
  For fish and Nushell:
    mkdir -p ~/.config/fish/completions ~/.config/nushell/autoload
    cryptstream completions fish > ~/.config/fish/completions/cryptstream.fish
    cryptstream completions nushell > ~/.config/nushell/autoload/cryptstream.nu
  For PowerShell, whose profile then reads the file with `. ./cryptstream.ps1`:
    cryptstream completions powershell > cryptstream.ps1
  Each takes effect in the next shell.";

pub(crate) const MANUAL: &str = "\
Examples:
  All pages, where man(1) finds them:
    cryptstream man ~/.local/share/man/man1
  The main page, without installing anything:
    cryptstream man | man -l -";

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use crate::args::Cli;

    #[test]
    fn every_command_has_examples_that_are_understood() {
        let main = Cli::command();
        for command in std::iter::once(&main).chain(main.get_subcommands()) {
            let help = command.get_after_long_help().unwrap().to_string();
            let examples: Vec<_> = help
                .lines()
                .filter(|line| line.starts_with("    ") && line.contains("cryptstream "))
                .collect();
            assert!(!examples.is_empty(), "{}", command.get_name());
            for example in examples {
                let start = example.find("cryptstream ").unwrap();
                let words = example[start..].split(['|', '>']).next().unwrap().split_whitespace();
                let parsed = Cli::try_parse_from(words);
                assert!(parsed.is_ok(), "{example}: {parsed:?}");
            }
        }
    }

    #[test]
    fn the_definitions_are_sound() {
        Cli::command().debug_assert();
    }
}
