//! What `--help` and the manual say beyond the flags.
//!
//! A line that ends in a colon is a heading, and a section of the manual page. Below it, lines
//! indented by two are text, and lines indented by four or more are commands or tables, kept line
//! by line. A test runs, or at least parses, every command under "Examples:".

pub(crate) const ROOT: &str = "\
Examples:
  Encrypt a file with a passphrase, which is asked for, and decrypt it:
    cryptstream encrypt -p notes.txt
    cryptstream decrypt -p notes.txt.enc again.txt
  Generate a key pair, encrypt to it, and decrypt with it:
    cryptstream keygen -o me.key
    cryptstream encrypt -i me.key video.mp4
    cryptstream decrypt -i me.key video.mp4.enc again.mp4
  `cryptstream COMMAND --help` has more examples.

Exit status:
    0   done
    64  usage
    65  damaged or not authentic
    66  input or key file missing or unreadable
    70  a bug in cryptstream
    73  output exists or cannot be created
    74  read or write failed (disk full)
    75  try again
    77  no key fits
    78  configuration

Environment:
  If no flag names a key, the passphrase comes from CRYPTSTREAM_PASSPHRASE. Each
  default of the configuration file also has a variable. NO_COLOR turns colours off.

Configuration:
  Set your own defaults in ~/.config/cryptstream/config.toml. Flags win over
  environment variables, and those over the file; `cryptstream config --help` lists
  all settings.

The output appears only once it is completely written and, when decrypting, verified.";

pub(crate) const ENCRYPT: &str = "\
Examples:
  With a passphrase, which is asked for; writes notes.txt.enc:
    cryptstream encrypt -p notes.txt
  With a passphrase from a file, for scripts:
    cryptstream encrypt --passphrase-file pass.txt notes.txt copy.enc
  To a friend's public key, and to your own:
    cryptstream encrypt -R friend.pub -R me.pub video.mp4
  For users of age, as text that can be mailed:
    cryptstream encrypt --armor -R friend.pub notes.txt notes.age
  A pipe:
    tar -c photos | cryptstream encrypt -R me.pub - photos.tar.enc
  A folder, file by file; run again, it processes only new or changed files:
    cryptstream encrypt -R me.pub --newer photos backup
  A folder as one compressed archive, which hides the names:
    cryptstream encrypt -R me.pub --archive --zstd photos album.enc
  A file or a folder into an object store, with the settings of the AWS CLI:
    cryptstream encrypt -R me.pub video.mp4 s3://bucket/video.mp4.enc
    cryptstream encrypt -R me.pub --newer photos s3://bucket/photos/
  Delete the input once the output has been read back and compared with it:
    cryptstream encrypt -R me.pub --remove-source db.dump
  Only to try it out, since other users can see the passphrase for a moment:
    cryptstream encrypt notes.txt output.enc --key mykey";

pub(crate) const DECRYPT: &str = "\
Examples:
  With the passphrase (a terminal asks for it even without -p); writes notes.txt:
    cryptstream decrypt -p notes.txt.enc
  With your identity, to another name:
    cryptstream decrypt -i me.key video.mp4.enc again.mp4
  Into a pipe, which gets only verified data:
    cryptstream decrypt -i me.key photos.tar.enc - | tar -t
  A folder:
    cryptstream decrypt -i me.key backup restored
  An archive, into a folder that appears once everything is verified:
    cryptstream decrypt -i me.key --extract photos.tar.enc unpacked
  The last KiB, without reading the rest:
    cryptstream decrypt -i me.key --range -1KiB video.mp4.enc tail.bin
  Whatever is intact of a damaged file:
    cryptstream decrypt -i me.key --salvage damaged.enc rest.bin";

pub(crate) const INSPECT: &str = "\
Examples:
  What a file is, and how many recipients it has:
    cryptstream inspect notes.txt.enc
  Several files, for a program:
    cryptstream inspect --json notes.txt.enc video.mp4.enc";

pub(crate) const VERIFY: &str = "\
Examples:
  Last year's copy:
    cryptstream verify -i me.key video.mp4.enc
  All files of a folder:
    cryptstream verify -i me.key backup

Notes:
  For a folder, a terminal shows only failures and the total; -v shows all files.
  Anywhere else, every file has a line, as with sha256sum -c.";

pub(crate) const LIST: &str = "\
Examples:
  An archive, made by cryptstream or by tar:
    cryptstream list -i me.key photos.tar.enc
  Several archives:
    cryptstream list -i me.key *.tar.enc
  For a program:
    cryptstream list -i me.key --json photos.tar.enc";

pub(crate) const REKEY: &str = "\
Examples:
  Replace all old keys with two public keys:
    cryptstream rekey -i me.key --new-recipients-file friend.pub --new-identity me.key video.mp4.enc
  Change the passphrase:
    cryptstream rekey --passphrase-file pass.txt --new-passphrase-file new.txt notes.txt.enc
  All encrypted files in a folder:
    cryptstream rekey -i me.key --new-recipients-file friend.pub --new-identity me.key backup

Notes:
  All old keys are replaced, so name yourself among the new ones to keep access.

  Failures are reported; the rest continues. After an interruption, run it again with
  the old and the new keys: files that already have the new keys are rekeyed once more.

  Rekeying replaces the header of a file; the content stays as it is. A large file takes
  no longer than a small one if the new header fits into the old one's place (files from
  1 MiB on have room for 41 public keys, age files for as many as they had) or if the
  file system can share blocks (Btrfs, XFS). Otherwise the file is rewritten, and so
  are small files; -v and --json say what was done. If rekeying is interrupted, the file
  is either the old one or the new one.

  An object in a store is replaced by another one, unless someone else replaced it
  first. Of one above 64 MiB the store copies all but 32 MiB itself, if it can; before
  it begins, the command says how much is fetched, uploaded and copied. A bucket with
  versions keeps the old version, with its old keys.

  Rekeying does not revoke access. Someone who could read the file can still read a copy
  they kept, and the file key stays the same; the old header may also live on in
  snapshots, backups and freed blocks. --reencrypt encrypts the content under a new file
  key, which takes as long as encrypting it.

  The configuration never supplies new keys: they are always named by flags.";

pub(crate) const JOB: &str = "\
Examples:
  Plan a job of shards, run them, and finish it, all on this machine:
    cryptstream job plan -i me.key photos copy --job photos.job --shards 4
    cryptstream job submit --job photos.job --engine local
  The same on several machines that see the same folders, one shard each:
    cryptstream job plan -i me.key photos again --job again.job --shards 2
    cryptstream job run --job again.job --shard 0/2
    cryptstream job run --job again.job --shard 1/2
    cryptstream job finish --job again.job
  Show how much is done:
    cryptstream job status --job again.job

Notes:
  A job to encrypt needs no secret on any machine: the manifest in the folder of the
  job has the recipients. Every command can be repeated at any time, by any machine,
  and does what is left. docs/jobs.md describes the files of a job.

Exit status of `job run`:
    0      the shard is done
    75     run it again; also after SIGTERM
    other  running it again would not help before something else has changed";

pub(crate) const JOB_PLAN: &str = "\
Examples:
  In shards of about 64 GiB:
    cryptstream job plan -R me.pub photos copy --job photos.job
  To decrypt again:
    cryptstream job plan --decrypt backup restored --job restore.job --shards 4

Notes:
  Nothing is encrypted yet. The plan remembers length, inode and times of each file,
  and a shard refuses (65) a file that has changed since. SRC, DST and JOB must have
  the same names on all machines. The folder of the job must belong to you alone, since
  it decides whom files are encrypted to. An identity (-i) is read by this command only.";

pub(crate) const JOB_RUN: &str = "\
Examples:
  The shard whose number an engine has set:
    cryptstream job run --job photos.job
  The first of four shards:
    cryptstream job run --job photos.job --shard 0/4
  Of a job that decrypts:
    cryptstream job run --job restore.job --shard 0/4 -i me.key

Notes:
  --shard auto reads, in this order: SLURM_ARRAY_TASK_ID (counted from
  SLURM_ARRAY_TASK_MIN), JOB_COMPLETION_INDEX, AWS_BATCH_JOB_ARRAY_INDEX, HQ_TASK_ID,
  PBS_ARRAY_INDEX, LSB_JOBINDEX (from 1), SGE_TASK_ID (from SGE_TASK_FIRST),
  CLOUD_RUN_TASK_INDEX, BATCH_TASK_INDEX.

  Two processes may run the same shard at once. A run that is killed loses at most the
  files in hand.";

pub(crate) const JOB_FINISH: &str = "\
Examples:
  Check that all outputs are complete, and give folders their times:
    cryptstream job finish --job photos.job

Notes:
  If anything is missing, it is named, and the status is 75 or that of the failure.";

pub(crate) const JOB_SUBMIT: &str = "\
Examples:
  As processes on this machine, two at a time:
    cryptstream job submit --job photos.job --engine local --parallel 2
  On a Slurm cluster:
    cryptstream job submit --job photos.job --engine slurm -o partition=long
  As a script, to be looked at and changed:
    cryptstream job submit --job photos.job --engine slurm --print

Notes:
  On this machine, a shard that ends with 75 or is killed is run again, up to five times.
  Slurm gets an array with the shards, and a task that finishes the job after them. Its
  own retries are described in docs/jobs.md.";

pub(crate) const STORE: &str = "\
Examples:
  List the uploads that were neither completed nor aborted:
    cryptstream store uploads s3://my-backups
  Abort those that were begun more than a week ago:
    cryptstream store uploads s3://my-backups --abort --older-than 7d

Notes:
  An upload in parts that is neither completed nor aborted is no object, but stores
  charge for its parts. A run that fails or is interrupted aborts its own; one that is
  killed cannot. A lifecycle rule of the bucket (AbortIncompleteMultipartUpload) does
  this for you.

  Uploads of other programs are listed and aborted as well.

Storage options:
  All commands that take URLs have --storage-option KEY=VALUE. The same names can stand
  in the configuration file, below [storage-options]. An option on the command line wins
  over the environment, this over the configuration file, and this over ~/.aws.
    endpoint            the URL of a store other than AWS (AWS_ENDPOINT_URL)
    region              such as eu-central-1 (AWS_REGION)
    profile             a profile in ~/.aws, with its credentials (AWS_PROFILE)
    skip-signature      true: public objects, without credentials
    virtual-host        true: the bucket is in the server's name; path-style: the reverse
    request-payer       true: you pay for requests to buckets of others
    allow-http          false: refuse an endpoint without TLS
    ca-bundle           a file with the authorities to trust too (AWS_CA_BUNDLE)
    proxy, no-proxy     a proxy, and servers without it (HTTPS_PROXY, NO_PROXY)
    sse                 encryption by the store: AES256, aws:kms or aws:kms:dsse
    sse-kms-key-id      the key for that; sse-bucket-key: true for fewer calls to KMS
    storage-class       such as STANDARD_IA
    checksum-algorithm  sha256 or crc64nvme, which the store checks
    unsigned-payload    false: sign the content too [default: true with TLS]
    max-attempts        how often a request is sent [default: 9] (AWS_MAX_ATTEMPTS)
    retry-timeout       no repetition after so many seconds [default: 120]
    connect-timeout     seconds to connect in [default: 10]
    timeout             seconds to wait for an answer [default: 300]
    sts-endpoint        where a web identity is exchanged for credentials
    ec2-metadata-disabled
                        true: ask no machine in the cloud for credentials
  access-key-id, secret-access-key and session-token are secrets, as is a proxy with a
  password: they can stand in the environment, in ~/.aws, or in a configuration file that
  only you can read.";

pub(crate) const KEYGEN: &str = "\
Examples:
  A new identity, which is secret; its recipient, which is public, is shown:
    cryptstream keygen -o new.key
  Its recipient again, in a file:
    cryptstream keygen -y new.key > new.pub
  A post-quantum identity:
    cryptstream keygen --pq -o pq.key";

pub(crate) const BENCHMARK: &str = "\
Examples:
  A short run:
    cryptstream benchmark --runs 3 --max-size 64KiB
  With a file of your own, and a page of charts:
    cryptstream benchmark --runs 3 --file video.mp4 --report speed.html";

pub(crate) const CONFIG: &str = "\
Examples:
  The defaults in effect here:
    cryptstream config
  For a program, without the configuration file:
    cryptstream config --json --no-config

The file:
  The file is the one CRYPTSTREAM_CONFIG names, otherwise cryptstream/config.toml in
  XDG_CONFIG_HOME or ~/.config. It is TOML, and every setting is optional:
    recipients       = [\"age1...\", \"ssh-ed25519 ...\"]
    recipients-files = [\"~/keys/team.txt\"]
    identity         = [\"~/keys/me.key\"]
    format           = \"native\"       # or \"age\"
    processes        = \"auto\"         # or a number, 0 for none
    sandbox          = \"auto\"         # or \"require\", \"off\"
    cache            = \"auto\"         # or \"keep\", \"drop\"
    progress         = \"auto\"         # or \"always\", \"never\", \"json\"
    color            = \"auto\"         # or \"always\", \"never\"
    argon2id         = \"256MiB,3,4\"   # cost of a passphrase
    scrypt           = 18             # the same in age files
    plugin-timeout   = 120            # seconds; 0 to wait forever
    [storage-options]                 # comes last; `store --help` lists them
    region           = \"eu-central-1\"
  File names that do not begin with / or ~/ are relative to the folder of the
  configuration file. It cannot hold a passphrase. It is refused if it is owned by
  anyone but you or root, or if others may write to it (your own private group may),
  or read secrets of object stores in it.

Environment:
  The same defaults, which win over the file. Separate recipients by newlines and
  files by colons; an empty variable counts as unset.
    CRYPTSTREAM_RECIPIENT  CRYPTSTREAM_RECIPIENTS_FILE  CRYPTSTREAM_IDENTITY
    CRYPTSTREAM_FORMAT     CRYPTSTREAM_PROCESSES        CRYPTSTREAM_SANDBOX
    CRYPTSTREAM_PROGRESS   CRYPTSTREAM_ARGON2ID         CRYPTSTREAM_SCRYPT
    CRYPTSTREAM_COLOR      CRYPTSTREAM_PLUGIN_TIMEOUT   CRYPTSTREAM_CACHE

Keys:
  Keys from different places are never mixed. If a flag names a key, no others are
  used; otherwise those of the environment, and if it has none, those of the file.
  CRYPTSTREAM_PASSPHRASE belongs to the environment, and encrypts alone.
  `encrypt` uses recipients and recipients-files; if there are none, it encrypts to the
  owner of identity. `decrypt`, `verify` and `rekey` decrypt with identity.";

pub(crate) const COMPLETIONS: &str = "\
Examples:
  bash, in a folder that it searches by itself:
    mkdir -p ~/.local/share/bash-completion/completions
    cryptstream completions bash > ~/.local/share/bash-completion/completions/cryptstream
  zsh, if ~/.zfunc is in fpath before compinit is called:
    mkdir -p ~/.zfunc
    cryptstream completions zsh > ~/.zfunc/_cryptstream
  fish and Nushell:
    mkdir -p ~/.config/fish/completions ~/.config/nushell/autoload
    cryptstream completions fish > ~/.config/fish/completions/cryptstream.fish
    cryptstream completions nushell > ~/.config/nushell/autoload/cryptstream.nu
  PowerShell; load it in your profile with `. ./cryptstream.ps1`:
    cryptstream completions powershell > cryptstream.ps1
  The completions work in the next shell you start.";

pub(crate) const MANUAL: &str = "\
Examples:
  Install all pages where man(1) finds them:
    cryptstream man ~/.local/share/man/man1
  Read the main page without installing anything:
    cryptstream man | man -l -";

/// Adds the default of `encrypt` to the help for OUTPUT. (`mut_arg` would move it behind the other
/// positional arguments.)
pub(super) fn describe_encrypted_output(arg: clap::Arg) -> clap::Arg {
    let help = "File or folder to write; - for standard output [default: INPUT.enc, or INPUT.age \
                with --armor or --format age]";
    if arg.get_id() == "output" { arg.help(help) } else { arg }
}

/// Adds the default of `decrypt` to the help for OUTPUT.
pub(super) fn describe_decrypted_output(arg: clap::Arg) -> clap::Arg {
    let help =
        "File or folder to write; - for standard output [default: INPUT without .enc or .age]";
    if arg.get_id() == "output" { arg.help(help) } else { arg }
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, FromArgMatches, Parser};

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
                let parsed = Cli::try_parse_from(words.clone());
                assert!(parsed.is_ok(), "{example}: {parsed:?}");
                if let Some(alone) = words.clone().nth(1).and_then(Cli::of_command) {
                    let matches = alone.try_get_matches_from(words).unwrap();
                    let alone = Cli::from_arg_matches(&matches);
                    assert_eq!(format!("{alone:?}"), format!("{parsed:?}"), "{example}");
                }
            }
        }
    }

    #[test]
    fn the_definitions_are_sound() {
        Cli::command().debug_assert();
    }
}
