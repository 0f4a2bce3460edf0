//! Guesses the type of a file that is not encrypted by this program.

/// The first bytes of files of other programs, and what to call such a file.
const MAGIC: &[(&[u8], &str)] = &[
    (b"age-encryption.org/", "an age file of another version, or a damaged one"),
    (b"-----BEGIN AGE ENCRYPTED FILE", "an armored age file"),
    (b"-----BEGIN PGP ", "a PGP (gpg) file in ASCII armor"),
    (b"-----BEGIN ", "a PEM file (a key or a certificate)"),
    (b"\x8c\x0d\x04", "a PGP (gpg) file"),
    (b"\x85\x01", "a PGP (gpg) file"),
    (b"\x85\x02", "a PGP (gpg) file"),
    (b"\x84\x5e", "a PGP (gpg) file"),
    (b"\xc1\xc0", "a PGP (gpg) file"),
    (b"\xc3\x0d\x04", "a PGP (gpg) file"),
    (b"Salted__", "a file of `openssl enc`"),
    (b"AGE-SECRET-KEY-1", "an identity (a secret key)"),
    (b"# created: ", "an identity file"),
    (
        b"\xff\xfe",
        "text in UTF-16, as PowerShell writes it: `iconv -f UTF-16 -t UTF-8` converts it",
    ),
    (b"\xfe\xff", "text in UTF-16: `iconv -f UTF-16 -t UTF-8` converts it"),
    (b"PK\x03\x04", "a zip archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"Rar!\x1a\x07", "a rar archive"),
    (b"\x1f\x8b", "a gzip file"),
    (b"BZh", "a bzip2 file"),
    (b"\xfd7zXZ\0", "an xz file"),
    (b"\x28\xb5\x2f\xfd", "a zstd file"),
    (b"\x04\x22\x4d\x18", "an lz4 file"),
    (b"\x1f\x9d", "a compress (.Z) file"),
    (b"LZIP\x01", "an lzip file"),
    (b"\x89LZO\0", "an lzop file"),
    (b"\x5d\0\0", "an lzma file"),
    (b"\x1e\xb5\x2f\xfd", "a zstd file in the format of version 0.1"),
    (b"\x22\xb5\x2f\xfd", "a zstd file in the format of version 0.2"),
    (b"\x23\xb5\x2f\xfd", "a zstd file in the format of version 0.3"),
    (b"\x24\xb5\x2f\xfd", "a zstd file in the format of version 0.4"),
    (b"\x25\xb5\x2f\xfd", "a zstd file in the format of version 0.5"),
    (b"\x26\xb5\x2f\xfd", "a zstd file in the format of version 0.6"),
    (b"\x27\xb5\x2f\xfd", "a zstd file in the format of version 0.7"),
    (b"070701", "a cpio archive"),
    (b"070702", "a cpio archive"),
    (b"070707", "a cpio archive"),
    (b"\xc7\x71", "a cpio archive"),
    (b"!<arch>\n", "an ar archive (such as a Debian package)"),
    (b"%PDF-", "a PDF"),
    (b"\x7fELF", "a program (ELF)"),
    (b"LUKS\xba\xbe", "a LUKS volume"),
    (b"cryptstream/", "a CryptStream file of another version, or a damaged one"),
];

/// What a file that begins with `head` seems to be.
pub(crate) fn looks_like(head: &[u8]) -> Option<&'static str> {
    if head.is_empty() {
        return None;
    }
    let by_magic = MAGIC.iter().find(|(magic, _)| head.starts_with(magic)).map(|(_, name)| *name);
    by_magic
        .or_else(|| is_tar(head).then_some("a tar archive"))
        .or_else(|| head.iter().all(|byte| *byte == 0).then_some("all zeros"))
        .or_else(|| is_text(head).then_some("plain text"))
}

/// Whether this is the first header of a tar archive, damaged or not.
pub(crate) fn is_tar(head: &[u8]) -> bool {
    head.get(257..262) == Some(b"ustar")
}

/// The command that unpacks an archive that begins with `head` from a pipe.
pub(crate) fn unpack_command(head: &[u8]) -> Option<&'static str> {
    const BY: &[(&[u8], &str)] = &[
        (b"\x1f\x8b", "tar -xz"),
        (b"BZh", "tar -xj"),
        (b"\xfd7zXZ\0", "tar -xJ"),
        (b"\x04\x22\x4d\x18", "lz4 -d | tar -x"),
        (b"\x1f\x9d", "gzip -d | tar -x"),
        (b"LZIP\x01", "lzip -d | tar -x"),
        (b"\x89LZO\0", "lzop -d | tar -x"),
        (b"\x5d\0\0", "xz -d --format=lzma | tar -x"),
        (b"070701", "cpio -id --no-absolute-filenames"),
        (b"070702", "cpio -id --no-absolute-filenames"),
        (b"070707", "cpio -id --no-absolute-filenames"),
        (b"\xc7\x71", "cpio -id --no-absolute-filenames"),
    ];
    let is_old_zstd = matches!(head, [0x1e | 0x22..=0x27, 0xb5, 0x2f, 0xfd, ..]);
    BY.iter()
        .find(|(magic, _)| head.starts_with(magic))
        .map(|(_, by)| *by)
        .or_else(|| is_old_zstd.then_some("zstd -d | tar -x"))
}

fn is_text(head: &[u8]) -> bool {
    // The last character may be incomplete.
    let valid = match std::str::from_utf8(head) {
        Ok(text) => text,
        Err(error) if error.error_len().is_none() => {
            std::str::from_utf8(&head[..error.valid_up_to()]).unwrap_or_default()
        }
        Err(_) => return false,
    };
    !valid.is_empty() && valid.chars().all(|c| !c.is_control() || c.is_whitespace())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_file_types_are_recognized() {
        for (head, name) in [
            (&b"age-encryption.org/v2\n"[..], "an age file of another version, or a damaged one"),
            (b"-----BEGIN PGP MESSAGE-----", "a PGP (gpg) file in ASCII armor"),
            (b"\x8c\x0d\x04\x09\x03\x02", "a PGP (gpg) file"),
            (b"Salted__12345678", "a file of `openssl enc`"),
            (b"PK\x03\x04\x14", "a zip archive"),
            (b"hello\n", "plain text"),
            (&[0; 512], "all zeros"),
        ] {
            assert_eq!(looks_like(head), Some(name));
        }
        for head in [&b""[..], b"\x01\x02\x03\xff"] {
            assert_eq!(looks_like(head), None);
        }
        for (magic, name) in MAGIC.iter().filter(|(magic, _)| unpack_command(magic).is_some()) {
            assert_eq!(looks_like(magic), Some(*name));
        }
    }
}
