"""Archives as other programs write them, unpacked by cryptstream and by GNU tar: names,
kinds, bits, times, bytes and links must be the same; or cryptstream refuses the archive
and says why and what to do. Usage: judge.py CRYPTSTREAM
"""

import io
import os
import pathlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time

from blocks import *  # noqa: F403

PROGRAM = os.path.abspath(sys.argv[1])
os.umask(0o022)
WORK = pathlib.Path(tempfile.mkdtemp(prefix="archives-"))
os.chdir(WORK)
LONG = "l" * 90 + "/" + "m" * 90 + "/" + "n" * 90
STARTED = time.time_ns()
failures = []
counts = {"read": 0, "refused": 0, "skipped": 0}


def run(*args, data=None, ok=True, cwd=None):
    done = subprocess.run(args, input=data, capture_output=True, cwd=cwd)
    if ok and done.returncode != 0:
        raise RuntimeError(f"{args}: {done.returncode}: {done.stderr.decode(errors='replace')}")
    return done


def has(program):
    return shutil.which(program) is not None


def state(root):
    """What matters of everything below a folder."""
    found, inodes = {}, {}
    for folder, folders, files in os.walk(os.fsencode(root)):
        for name in folders + files:
            path = os.path.join(folder, name)
            stat = os.lstat(path)
            relative = os.path.relpath(path, os.fsencode(root))
            kind, content = stat.st_mode & 0o170000, None
            if kind == 0o120000:
                content = os.readlink(path)
            elif kind == 0o100000:
                with open(path, "rb") as file:
                    content = file.read()
                inodes.setdefault(stat.st_ino, []).append(relative)
            mode = stat.st_mode & 0o777 if kind != 0o120000 else None
            found[relative] = (oct(kind), mode, stat.st_mtime_ns, content)
    links = sorted(sorted(names) for names in inodes.values() if len(names) > 1)
    return found, links


def differences(ours, theirs):
    for name in sorted(ours[0].keys() | theirs[0].keys()):
        one, other = ours[0].get(name), theirs[0].get(name)
        if one and other and other[2] > STARTED:
            # A folder of which tar has not restored the time, or the archive has none.
            other = (*other[:2], one[2], other[3])
        if one != other:
            short = [str(it)[:120] for it in (one, other)]
            yield f"{name}: here {short[0]}, there {short[1]}"
    if ours[1] != theirs[1]:
        yield f"hard links: here {ours[1]}, there {theirs[1]}"


def clear(*names):
    for name in names:
        subprocess.run(["chmod", "-R", "u+rwx", name], capture_output=True)
        shutil.rmtree(name, ignore_errors=True)


def extract(archive):
    pathlib.Path("a.enc").write_bytes(run(PROGRAM, "encrypt", "-", "-", "-i", "id", data=archive).stdout)
    return run(PROGRAM, "decrypt", "--extract", "a.enc", "out", "-i", "id", ok=False)


def read(name, archive, *, by=("tar", "-x", "--no-same-owner", "--no-same-permissions", "--warning=none"),
         plain=None, says=()):
    """It is unpacked as the other program does it, which may get `plain` in its place."""
    clear("out", "judge")
    done = extract(archive)
    os.mkdir("judge")
    pathlib.Path("plain").write_bytes(archive if plain is None else plain)
    judged = run(*by, "-f", "../plain", cwd="judge", ok=False)
    if judged.returncode != 0:
        failures.append(f"{name}: tar itself: {judged.stderr.decode(errors='replace')}")
    text = done.stderr.decode(errors="replace")
    if done.returncode != 0:
        failures.append(f"{name}: {done.returncode}: {text}")
    else:
        failures.extend(f"{name}: {text}" for text in differences(state("out"), state("judge")))
        if bool(text) != bool(says) or any(words not in text for words in says):
            failures.append(f"{name}: it says: {text!r}, not {says}")
        counts["read"] += 1


def refused(name, archive, *words):
    """It is refused for this reason, and the way to go on is told."""
    clear("out")
    done = extract(archive)
    text = done.stderr.decode(errors="replace")
    if done.returncode != 65 or any(word not in text for word in words) or os.path.exists("out"):
        failures.append(f"{name}: {done.returncode}: {text}, not {words}")
    counts["refused"] += 1


def skipped(name, why):
    counts["skipped"] += 1
    print(f"skipped: {name}: {why}")


def make_tree():
    root = pathlib.Path("in")
    root.mkdir()
    (root / LONG).mkdir(parents=True)
    (root / LONG / "file").write_bytes(b"deep")
    (root / "file").write_bytes(bytes(range(256)) * 300)
    (root / "empty").write_bytes(b"")
    (root / "closed").mkdir()
    (root / "closed" / "file").write_bytes(b"x")
    for name in (b"not UTF-8 \xff\xfe", b"new\nline", "\u00e4 \u00f6".encode(), b" blank ", b"-rf", b"n" * 255):
        pathlib.Path(os.fsdecode(b"in/" + name)).write_bytes(name)
    os.link(root / "file", root / "same")
    os.link(root / LONG / "file", root / "second name")
    os.symlink("file", root / "link")
    os.symlink(LONG + "/file", root / "long link")
    os.symlink("nowhere", root / "dangling")
    with open(root / "sparse", "wb") as file:
        for number in range(40):
            file.seek(number << 16)
            file.write(b"data")
        file.truncate(4 << 20)
    with open(root / "hole", "wb") as file:
        file.truncate(1 << 20)
    os.chmod(root / "file", 0o640)
    os.chmod(root / "-rf", 0o4755)
    subprocess.run(["setfattr", "-n", "user.note", "-v", "0x0a003d", str(root / "file")], capture_output=True)
    subprocess.run(["setfacl", "-m", "u:1:r", str(root / "empty")], capture_output=True)
    os.utime(root / "file", ns=(0, 1_234_567_890_123_456_789))
    os.utime(root / "empty", ns=(0, -1_500_000_000))
    os.utime(root / "closed" / "file", (1 << 33, 1 << 33))
    os.utime(root / "dangling", ns=(0, 7_500_000_000), follow_symlinks=False)
    os.chmod(root / "closed", 0o555)
    os.utime(root / "closed", (5, 5))
    os.utime(root, (9, 9))


def tree_archive(*command):
    """What a program writes of the tree; without "." those that cannot have all of it."""
    pathlib.Path("a.tar").unlink(missing_ok=True)
    run(*command)
    return pathlib.Path("a.tar").read_bytes()


def gnu_tar():
    for form in ("v7", "ustar", "oldgnu", "gnu", "posix"):
        for more in ([], ["-S"], ["-b", "1"], ["--label=a label"], ["--listed-incremental=snapshot"],
                     ["--xattrs", "--acls", "--selinux"], ["--numeric-owner", "--owner=:3000000", "--group=:3000000"]):
            name = f"GNU tar {form} {' '.join(more)}"
            wants_gnu = any(flag in str(more) for flag in ("-S", "label", "incremental", "xattrs", "3000000"))
            if form in ("v7", "ustar") and wants_gnu:
                continue
            if form in ("oldgnu", "gnu") and "--xattrs" in more:
                continue
            pathlib.Path("snapshot").unlink(missing_ok=True)
            # What a dialect cannot have is left out, and tar says so.
            command = ["tar", "-c", "-f", "a.tar", f"--format={form}", *more, "-C", "in", "."]
            done = run(*command, ok=False)
            if done.returncode not in (0, 2) or (done.returncode == 2 and form not in ("v7", "ustar")):
                failures.append(f"{name}: {done.stderr.decode(errors='replace')}")
                continue
            read(name, pathlib.Path("a.tar").read_bytes())
    for version in ("0.0", "0.1", "1.0"):
        read(f"GNU tar sparse {version}", tree_archive(
            "tar", "-c", "-f", "a.tar", "--format=posix", "-S", f"--sparse-version={version}", "-C", "in", "."))
    for option in ("globexthdr.name=/tmp/x,mtime=1234567890", "globexthdr.name=/tmp/x,comment=hello",
                   "mtime:=1234567890.25", "delete=atime,delete=ctime", "SCHILY.nonsense:=x"):
        read(f"GNU tar --pax-option={option}", tree_archive(
            "tar", "-c", "-f", "a.tar", "--format=posix", f"--pax-option={option}", "-C", "in", "file", "link"))
    # Added to, and joined by tar itself.
    pathlib.Path("new").mkdir()
    for text in ("old", "the new version"):
        pathlib.Path("new/changed").write_text(text)
        run("tar", "-r", "-f", "b.tar", "-C", "new", "changed")
    again = pathlib.Path("b.tar").read_bytes()
    read("GNU tar -r", again, says=["more than once in the archive: 1"])
    run("tar", "-c", "-f", "a.tar", "-C", "in", "file")
    run("tar", "-A", "-f", "a.tar", "b.tar")
    read("GNU tar -A", pathlib.Path("a.tar").read_bytes(), says=["more than once"])
    refused("cat a.tar b.tar", again + again, "two archives were concatenated", "tar -xi")
    read("no files", tree_archive("tar", "-c", "-f", "a.tar", "-T", "/dev/null"))
    absolute = tree_archive("tar", "-c", "-P", "-f", "a.tar", str(WORK / "in" / "file"), str(WORK / "in" / "same"))
    read("GNU tar -P", absolute, says=["absolute names: 2"])
    os.mkfifo("new/pipe")
    read("a FIFO", tree_archive("tar", "-c", "-f", "a.tar", "-C", "new", "."), says=["pipe: is a device or"],
         by=("tar", "-x", "--exclude=./pipe", "--warning=none"))
    for form in ("gnu", "posix"):
        for volume in ("1.tar", "2.tar", "3.tar"):
            pathlib.Path(volume).unlink(missing_ok=True)
        pathlib.Path("long").write_bytes(bytes(40000))
        run("tar", "-c", "-M", "-L", "20", f"--format={form}", "-f", "1.tar", "-f", "2.tar", "-f", "3.tar", "long")
        refused(f"first volume, {form}", pathlib.Path("1.tar").read_bytes(), "continues in another volume")
        refused(f"second volume, {form}", pathlib.Path("2.tar").read_bytes(), "begins in another volume", "tar -xM")


def others():
    if has("bsdtar"):
        for form in ("v7", "ustar", "gnutar", "pax", "paxr"):
            for more in ([], ["--read-sparse"], ["--acls", "--xattrs", "--fflags"]):
                kind = {"paxr": "pax"}.get(form, form)
                command = ["bsdtar", "-c", "-f", "a.tar", "--format", kind, *more]
                if form == "paxr":
                    command[5] = "posix"
                done = run(*command, "-C", "in", ".", ok=False)
                name = f"bsdtar {form} {' '.join(more)}"
                if done.returncode not in (0, 1):
                    failures.append(f"{name}: {done.stderr.decode(errors='replace')}")
                    continue
                archive = pathlib.Path("a.tar").read_bytes()
                read(name, archive)
    else:
        skipped("bsdtar", "not installed (libarchive-tools)")
    if has("pax"):
        for form in ("ustar", "tar", "v4norm"):
            done = run("sh", "-c", f"cd in && find file empty closed link same | pax -w -x {form} > ../a.tar", ok=False)
            if done.returncode == 0 and form != "v4norm":
                read(f"pax -x {form}", pathlib.Path("a.tar").read_bytes())
        run("sh", "-c", "cd in && find file empty link | pax -w -x cpio > ../a.cpio")
        refused("pax -x cpio", pathlib.Path("a.cpio").read_bytes(), "cpio archive", "cpio -id")
    else:
        skipped("pax", "not installed")
    if has("busybox"):
        run("sh", "-c", "busybox tar -c -f a.tar -C in file empty closed link same dangling")
        read("busybox tar", pathlib.Path("a.tar").read_bytes())
    else:
        skipped("busybox", "not installed")
    for form in (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        for headers in ({}, {"comment": "x", "hdrcharset": "BINARY"}, {"mtime": "1234567890.5"}):
            if headers and form != tarfile.PAX_FORMAT:
                continue
            to = io.BytesIO()
            with tarfile.open(fileobj=to, mode="w", format=form, pax_headers=headers) as archive:
                for name in ("file", "same", "link", "dangling", "not UTF-8 \udcff\udcfe", "ä ö", "second name"):
                    archive.add("in/" + name, name)
                if form != tarfile.USTAR_FORMAT:
                    archive.add("in/" + LONG, LONG)
                    archive.add("in/closed", "closed")
                info = tarfile.TarInfo("made")
                info.size, info.mtime, info.uid = 4, -3, 3 << 30
                if form == tarfile.USTAR_FORMAT:
                    info.mtime, info.uid = 3.7, 0
                archive.addfile(info, io.BytesIO(b"data"))
            read(f"Python, format {form}, {headers}", to.getvalue())
    if has("git"):
        run("git", "init", "-q", "repository")
        pathlib.Path("repository/file").write_text("x")
        os.symlink("file", "repository/link")
        git = ("git", "-C", "repository", "-c", "user.name=x", "-c", "user.email=x@x")
        run(*git, "add", ".")
        run(*git, "commit", "-q", "-m", "x")
        read("git archive", run(*git, "archive", "HEAD").stdout)


def by_hand():
    """Dialects of programs that are not at hand: star, Solaris, Go, Java and old ones."""
    file = member(b"file", data=b"content")
    name = "ö\u00e4".encode()
    long = b"p" * 120 + b"/" + b"q" * 90
    read("v7 without magic", end(member(b"d/", b"\0", magic=V7), member(b"d/f", b"\0", b"x", magic=V7)))
    read("prefix", end(member(b"file", data=b"x", prefix=b"a/b")))
    read("prefix, no version", end(member(b"file", data=b"x", prefix=b"a/b", magic=b"ustar\0\0\0")))
    read("signed checksum", end(member(name, data=b"x", signed=True)))
    read("numbers with blanks", end(header(b"f", mode=b"   644 \0", size=b"          0 ", mtime=b" 7346545000 ")))
    read("empty numbers", end(header(b"f", mode=b"0000644", mtime=b"\0" * 12, size=b"\0" * 12, magic=V7)))
    read("base 256", end(member(b"f", data=b"x", mtime=base256(-5, 12), size=base256(1, 12), magic=GNU)))
    read("a file's type in the mode", end(member(b"f", data=b"x", mode=0o100640)))
    read("contiguous file", end(member(b"f", b"7", b"x")))
    read("folder with a size", end(header(b"d/", b"5", size=4096, mode=0o755), file))
    read("symbolic link with a size", end(header(b"l", b"2", size=4, link=b"file"), file))
    read("hard link with a size", end(file, header(b"h", b"1", size=7, link=b"file")))
    read("hard link to itself", end(file, header(b"file", b"1", link=b"file")))
    read("./ and //", end(member(b"./a//b/./c", data=b"x"), header(b".///d/", b"5", mode=0o755)))
    read("folders that come late", end(member(b"d/f", data=b"x"), header(b"d/", b"5", mode=0o500, mtime=5)))
    read("one block at the end", end(file, blocks=1))
    read("much at the end", end(file, blocks=200))
    read("file, then link", end(member(b"x", data=b"1"), header(b"x", b"2", link=b"file"), file), says=["once"])
    read("link, then file", end(header(b"x", b"2", link=b"file"), member(b"x", data=b"1")), says=["once"])
    read("file, then folder", end(member(b"x", data=b"1"), header(b"x/", b"5", mode=0o755)), says=["once"])
    read("read-only, then new", end(member(b"x", data=b"1", mode=0o400), member(b"x", data=b"22")), says=["once"])
    read("replaced, with a second name", end(file, header(b"h", b"1", link=b"file"), member(b"file", data=b"n")),
         says=["once"])
    read("keys twice, empty values", end(pax((b"path", b"wrong"), (b"path", b"right"), (b"mtime", b"7"),
                                             (b"mtime", b"8.5"), (b"linkpath", b"x")), member(b"f", data=b"x")))
    read("unknown keys", end(pax((b"SCHILY.xattr.user.a", b"\0\n="), (b"LIBARCHIVE.creationtime", b"5"),
                                 (b"MSWINDOWS.rawsd", b"x"), (b"RHT.security.selinux", b"x\0")), file))
    read("long records", end(pax((b"SCHILY.xattr.user.a", b"v" * 2_000_000)), file))
    read("Solaris", end(pax((b"path", b"right"), kind=b"X"), member(b"f", data=b"x")))
    acl = member(b"f", b"A", b"1000007\0user::rw-,user:x:r--\0")
    read("Solaris, access list", end(acl, file), plain=end(file))
    read("long name and long link of GNU", end(
        member(b"././@LongLink", b"L", long + b"/name\0", magic=GNU), member(b"cut", data=b"x", magic=GNU),
        member(b"././@LongLink", b"K", long + b"/name\0", magic=GNU), header(b"l", b"2", link=b"cut", magic=GNU)))
    read("the same without NUL, as Go once did", end(
        member(b"././@LongLink", b"L", long + b"/name", magic=GNU), member(b"cut", data=b"x", magic=GNU)))
    read("GNU tar's label and dumpdir", end(
        header(b"label", b"V", magic=GNU), member(b"d/", b"D", b"Yfile\0\0", magic=GNU, mode=0o755),
        member(b"d/file", data=b"x", magic=GNU)))
    read("a label in PAX", end(pax((b"GNU.volume.label", b"label"), kind=b"g"), file))
    read("global time, taken back", end(pax((b"mtime", b"77.5"), kind=b"g"), member(b"a"), member(b"b"),
                                        pax((b"mtime", b"88"), kind=b"g"), member(b"c")))
    pieces = [(number << 12, b"%04d" % number * 128) for number in range(60)]
    size, ending = (1 << 20) + 1, ((1 << 20) + 1, b"")
    for few in (0, 1, 3, 4, 24, 25, 26, 60):
        read(f"star, {few} pieces", end(star_sparse(b"s", [*pieces[:few], ending], size)))
        read(f"GNU, {few} pieces", end(gnu_sparse(b"s", [*pieces[:few], ending], size)))
    read("star, prefix and times", end(header(
        b"file", prefix=b"d" * 120, fields=[(476, b"%011o " % 5), (488, b"%011o " % 6)], tail=b"tar\0")))
    read("exustar", end(pax((b"SCHILY.dev", b"1"), (b"SCHILY.filetype", b"regular"), (b"atime", b"1.5"),
                            (b"mtime", b"1234567890.000000001"), (b"path", name)), member(b"f", data=b"x")))
    refused("a kind of some program", end(member(b"f", b"Q", b"x")), "f is of an unknown type", "tar -x")
    refused("without an end", file, "cut off", "tar -x")
    refused("cut off", end(file)[:600], "cut off", "tar -x")
    refused("something follows", end(file) + b"more".ljust(600, b"x"), "there is data after its end", "tar -x")
    refused("link before its target", end(header(b"h", b"1", link=b"file"), file), "does not come before it", "tar -x")
    refused("through a link", end(header(b"l", b"2", link=b"d"), member(b"l/f", data=b"x")), "has a parent that is not a folder", "tar -x")
    refused("NUL in a name", end(pax((b"path", b"a\0b")), file), "its headers are invalid", "tar -x")
    refused("one name for all", end(pax((b"path", b"a"), kind=b"g"), file), "only a single member may have", "tar -x")
    refused("unknown holes", end(pax((b"GNU.sparse.major", b"2"), (b"GNU.sparse.minor", b"0")), file), "unknown format for sparse files")
    refused("folder, then file", end(header(b"x/", b"5", mode=0o755), member(b"x", data=b"1")), "the name of a folder")


def compressed():
    run("sh", "-c", "tar -c -f a.tar -C in .")
    plain = pathlib.Path("a.tar").read_bytes()
    half = len(plain) // 2
    if not has("zstd"):
        return skipped("zstd", "not installed")

    def zstd(data, *flags):
        return run("zstd", "-q", "-c", *flags, data=data).stdout

    def frame(data):
        return zstd(data, "-1")

    empty, skip = frame(b""), b"\x50\x2a\x4d\x18\x04\0\0\0skip"
    for flags in (["-1"], ["-19"], ["--ultra", "-22"], ["--fast=5"], ["--no-check"], ["--long=27"], ["-T2", "-B65536"],
                  ["--stream-size", str(len(plain))], ["--rsyncable", "-T1"], ["--adapt"]):
        read(f"zstd {' '.join(flags)}", zstd(plain, *flags), plain=plain)
    read("two frames", frame(plain[:half]) + frame(plain[half:]), plain=plain)
    read("empty frames", empty + frame(plain[:half]) + empty + frame(plain[half:]) + empty, plain=plain)
    read("frames to be skipped", skip + frame(plain[:half]) + skip + frame(plain[half:]) + skip, plain=plain)
    if has("pzstd"):
        pathlib.Path("a.tar.zst").unlink(missing_ok=True)
        run("pzstd", "-q", "-p", "2", "a.tar", "-o", "a.tar.zst")
        read("pzstd", pathlib.Path("a.tar.zst").read_bytes(), plain=plain)
    pathlib.Path("huge").write_bytes(b"")
    os.truncate("huge", 160 << 20)
    run("sh", "-c", "tar -c -f b.tar huge")
    long = run("sh", "-c", "zstd -q -c --long=28 -1 --no-check < b.tar").stdout
    refused("zstd --long=28", long, "too much memory", "zstd -d --long=31 | tar -x")
    pathlib.Path("samples").mkdir(exist_ok=True)
    for number in range(200):
        pathlib.Path(f"samples/{number}").write_bytes((b"sample %d " % number) * 50)
    run("sh", "-c", "zstd -q --train samples/* -o dictionary --maxdict=2000")
    with_dictionary = zstd(plain, "-D", "dictionary")
    refused("zstd -D", with_dictionary, "ictionary", "zstd -d -D DICTIONARY | tar -x")
    whole = frame(plain)
    refused("a frame cut off", whole[:len(whole) // 2], "decompressed")
    wrong = bytearray(zstd(plain, "--check"))
    wrong[-1] ^= 1
    refused("a wrong checksum", bytes(wrong), "checksum")
    refused("junk behind the frame", whole + b"junk", "decompressed")
    refused("only frames to be skipped", skip, "it is empty")
    refused("a file in zstd", frame(b"hello\n"), "not a tar archive", "plain text")
    refused("nothing", b"", "it is empty")
    for version in range(1, 8):
        first = 0x1e if version == 1 else 0x20 + version
        refused(f"zstd 0.{version}", bytes([first, 0xb5, 0x2f, 0xfd]) + bytes(600), f"version 0.{version}", "zstd -d | tar -x")
    for program, flags, kind in (
            ("gzip", ["-c"], "gzip"), ("bzip2", ["-c"], "bzip2"), ("xz", ["-c", "-0"], "xz"),
            ("xz", ["-c", "-0", "--format=lzma"], "lzma"), ("lz4", ["-c"], "lz4"), ("lzip", ["-c"], "lzip"),
            ("compress", ["-c"], "compress"), ("lzop", ["-c"], "lzop")):
        if not has(program):
            skipped(program, "not installed")
            continue
        data = run(program, *flags, data=plain).stdout
        refused(program, data, "not a tar archive", kind, "cryptstream decrypt a.enc - | ")
        # What is advised works.
        text = extract(data).stderr.decode()
        advised = text.split("`")[1].replace("cryptstream decrypt", f"{PROGRAM} decrypt")
        advised = advised.replace("a.enc -", "a.enc - -i id").replace("NEW", "out")
        clear("out", "judge")
        os.mkdir("judge")
        run("sh", "-c", advised)
        run("tar", "-x", "-f", "../a.tar", cwd="judge")
        failures.extend(f"{program}: {text}" for text in differences(state("out"), state("judge")))
    if has("zip"):
        run("sh", "-c", "cd in && zip -q ../a.zip file empty")
        refused("zip", pathlib.Path("a.zip").read_bytes(), "a zip archive")
    if has("7z"):
        run("7z", "a", "-bd", "a.7z", "in/file")
        refused("7z", pathlib.Path("a.7z").read_bytes(), "a 7z archive")


def sparse():
    """More than a TiB of holes: said when packed, refused when unpacked, and then not."""
    os.mkdir("holes")
    with open("holes/disk", "wb") as file:
        try:
            file.truncate((1 << 40) + (1 << 33))
        except OSError as error:
            return skipped("2 TiB of holes", error)
    done = run(PROGRAM, "encrypt", "--archive", "holes", "-i", "id")
    text = done.stderr.decode()
    flag = text.split("--max-size ")[1].split()[0] if "--max-size " in text else ""
    done = run(PROGRAM, "decrypt", "--extract", "holes.tar.enc", "out-of-holes", "-i", "id", ok=False)
    if not flag or done.returncode != 65 or b"--max-size" not in done.stderr:
        failures.append(f"holes: {text} {done}")
    run(PROGRAM, "decrypt", "--extract", "holes.tar.enc", "out-of-holes", "-i", "id", "--max-size", flag or "2TiB")
    if os.stat("out-of-holes/disk").st_size != (1 << 40) + (1 << 33):
        failures.append("holes: another size")
    counts["read"] += 1


try:
    run(PROGRAM, "keygen", "-o", "id")
    make_tree()
    for part in (gnu_tar, others, by_hand, compressed, sparse):
        try:
            part()
        except (RuntimeError, OSError, ValueError, IndexError) as error:
            failures.append(f"{part.__name__} ended early: {error!r}")
finally:
    os.chdir("/")
    clear(WORK)
for failure in failures:
    print("FAILED", failure)
print(f"archives: {counts['read']} read as tar does, {counts['refused']} refused by name, "
      f"{counts['skipped']} skipped, {len(failures)} failed")
sys.exit(bool(failures))
