#!/usr/bin/env python3
"""Storage that makes its callers wait.

    delaying.py FOLDER MOUNTPOINT [--mib MS] [--call MS] [--threads N]

shows FOLDER under MOUNTPOINT, through FUSE, until it is unmounted. Reading or writing a MiB
takes MS milliseconds more, and shorter reads and writes their share of them. With --call every
call takes that much more, also those that look up, create and name files. Many calls can wait at
a time (--threads, 64 by default), those of one file too, and nothing is cached, so that more of
them under way give more throughput. Needs root.

It speaks the protocol of linux/fuse.h itself: the FUSE library knows neither writes of one file
at a time with others nor pieces of 1 MiB.
"""

import argparse
import ctypes
import errno
import os
import resource
import stat
import struct
import threading
import time

MIB = 1 << 20
ROOT = 1
IN_HEADER = struct.Struct("=IIQQIIIHH")
OUT_HEADER = struct.Struct("=IiQ")
# Files are read and written past the page cache, by several calls at a time.
OPEN_FLAGS = 1 << 0 | 1 << 6
ASYNC_READ, BIG_WRITES, PARALLEL_DIROPS, MAX_PAGES = 1 << 0, 1 << 5, 1 << 18, 1 << 22
SET_MODE, SET_UID, SET_GID, SET_SIZE, SET_ATIME, SET_MTIME = 1, 2, 4, 8, 16, 32
SET_ATIME_NOW, SET_MTIME_NOW = 128, 256
UTIME_NOW, UTIME_OMIT = (1 << 30) - 1, (1 << 30) - 2

libc = ctypes.CDLL(None, use_errno=True)


class Delaying:
    def __init__(self, root, mountpoint, per_mib, per_call):
        self.per_byte = per_mib / 1000 / MIB
        self.per_call = per_call / 1000
        self.lock = threading.Lock()
        # Each node is a descriptor opened with O_PATH, under its inode number, and how often
        # the kernel was told of it.
        self.nodes = {ROOT: [os.open(root, os.O_PATH | os.O_DIRECTORY), 1]}
        self.device = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
        options = f"fd={self.device},rootmode=40000,user_id=0,group_id=0,allow_other,default_permissions"
        mounted = libc.mount(b"delaying", mountpoint.encode(), b"fuse.delaying", 0, options.encode())
        if mounted != 0:
            raise SystemExit(f"mount: {os.strerror(ctypes.get_errno())}")

    def serve(self):
        """Answers calls until the file system is unmounted."""
        head, body = bytearray(80), bytearray(2 * MIB)
        while True:
            try:
                length = os.readv(self.device, [head, body])
            except OSError as error:
                if error.errno in (errno.EINTR, errno.ENOENT, errno.EAGAIN):
                    continue
                return
            _, opcode, unique, node, *_ = IN_HEADER.unpack_from(head)
            operation = OPERATIONS.get(opcode)
            if operation in (Delaying.forget, Delaying.forget_many):
                operation(self, node, (head + body[: max(length - 80, 0)])[40:length])
                continue
            if opcode == INTERRUPT:
                continue
            try:
                if operation is None:
                    raise OSError(errno.ENOSYS, "")
                if opcode != INIT and self.per_call:
                    time.sleep(self.per_call)
                if operation is Delaying.write:
                    answer = self.write(head, memoryview(body)[: length - 80])
                else:
                    answer = operation(self, node, bytes(head + body[: max(length - 80, 0)])[40:length])
                status = 0
            except OSError as error:
                answer, status = b"", -(error.errno or errno.EIO)
            out = OUT_HEADER.pack(OUT_HEADER.size + len(answer), status, unique)
            try:
                os.writev(self.device, [out, answer])
            except OSError:
                # The caller has gone.
                pass

    def fd(self, node):
        return self.nodes[node][0]

    def path(self, node):
        return f"/proc/self/fd/{self.fd(node)}"

    def init(self, _, data):
        major, minor, readahead, flags = struct.unpack_from("=IIII", data)
        flags &= ASYNC_READ | BIG_WRITES | PARALLEL_DIROPS | MAX_PAGES
        fields = (major, min(minor, 36), readahead, flags, 256, 192, MIB, 1, MIB // 4096, 0, 0, 0)
        return struct.pack("=IIIIHHIIHHII24x", *fields)

    def entry(self, found):
        """The answer that tells of a file, whose descriptor is `found`."""
        status = os.fstat(found)
        with self.lock:
            node = self.nodes.setdefault(status.st_ino, [found, 0])
            node[1] += 1
        if node[0] != found:
            os.close(found)
        return struct.pack("=QQQQII", status.st_ino, 0, 0, 0, 0, 0) + attributes(status)

    def lookup(self, node, data):
        found = os.open(name(data), os.O_PATH | os.O_NOFOLLOW, dir_fd=self.fd(node))
        return self.entry(found)

    def forget(self, node, data):
        self.drop(node, struct.unpack_from("=Q", data)[0])

    def forget_many(self, _, data):
        count = struct.unpack_from("=I", data)[0]
        for number in range(count):
            self.drop(*struct.unpack_from("=QQ", data, 8 + 16 * number))

    def drop(self, node, times):
        with self.lock:
            known = self.nodes.get(node)
            if known is None or node == ROOT:
                return
            known[1] -= times
            if known[1] > 0:
                return
            del self.nodes[node]
        os.close(known[0])

    def getattr(self, node, _):
        return struct.pack("=QII", 0, 0, 0) + attributes(os.fstat(self.fd(node)))

    def setattr(self, node, data):
        valid, _, _, size, _, *times = struct.unpack_from("=IIQQQQQQIIIIIII", data)
        atime, mtime, _, atime_ns, mtime_ns, _, mode, _, uid, gid = times
        path = self.path(node)
        if valid & SET_SIZE:
            os.truncate(path, size)
        if valid & (SET_UID | SET_GID):
            os.chown(path, uid if valid & SET_UID else -1, gid if valid & SET_GID else -1)
        if valid & SET_MODE:
            os.chmod(path, stat.S_IMODE(mode))
        if valid & (SET_ATIME | SET_MTIME):
            both = (
                moment(valid, SET_ATIME, SET_ATIME_NOW, atime, atime_ns),
                moment(valid, SET_MTIME, SET_MTIME_NOW, mtime, mtime_ns),
            )
            times = (ctypes.c_long * 4)(*both[0], *both[1])
            if libc.utimensat(-100, path.encode(), times, 0) != 0:
                raise OSError(ctypes.get_errno(), "")
        return self.getattr(node, data)

    def readlink(self, node, _):
        return os.fsencode(os.readlink("", dir_fd=self.fd(node)))

    def symlink(self, node, data):
        new, target = data.split(b"\0")[:2]
        os.symlink(target, new, dir_fd=self.fd(node))
        return self.lookup(node, data)

    def mkdir(self, node, data):
        mode, _ = struct.unpack_from("=II", data)
        os.mkdir(name(data[8:]), mode, dir_fd=self.fd(node))
        return self.lookup(node, data[8:])

    def unlink(self, node, data):
        os.unlink(name(data), dir_fd=self.fd(node))
        return b""

    def rmdir(self, node, data):
        os.rmdir(name(data), dir_fd=self.fd(node))
        return b""

    def rename(self, node, data):
        to = struct.unpack_from("=Q", data)[0]
        old, new = data[8:].split(b"\0")[:2]
        os.rename(old, new, src_dir_fd=self.fd(node), dst_dir_fd=self.fd(to))
        return b""

    def link(self, node, data):
        old = struct.unpack_from("=Q", data)[0]
        os.link(self.path(old), name(data[8:]), dst_dir_fd=self.fd(node), follow_symlinks=True)
        return self.lookup(node, data[8:])

    def open(self, node, data):
        flags = struct.unpack_from("=I", data)[0]
        handle = os.open(self.path(node), flags & ~(os.O_NOFOLLOW | os.O_CREAT | os.O_EXCL))
        return struct.pack("=QII", handle, OPEN_FLAGS, 0)

    def create(self, node, data):
        flags, mode, _, _ = struct.unpack_from("=IIII", data)
        new = name(data[16:])
        handle = os.open(new, flags | os.O_CREAT, mode, dir_fd=self.fd(node))
        return self.lookup(node, data[16:]) + struct.pack("=QII", handle, OPEN_FLAGS, 0)

    def tmpfile(self, node, data):
        flags, mode, _, _ = struct.unpack_from("=IIII", data)
        handle = os.open(self.path(node), flags & os.O_ACCMODE | os.O_TMPFILE, mode)
        found = os.open(f"/proc/self/fd/{handle}", os.O_PATH)
        return self.entry(found) + struct.pack("=QII", handle, OPEN_FLAGS, 0)

    def read(self, _, data):
        handle, offset, size = struct.unpack_from("=QQI", data)
        time.sleep(size * self.per_byte)
        return os.pread(handle, size, offset)

    def write(self, head, content):
        handle, offset, size = struct.unpack_from("=QQI", head, 40)
        time.sleep(size * self.per_byte)
        return struct.pack("=II", os.pwrite(handle, content[:size], offset), 0)

    def statfs(self, node, _):
        found = os.fstatvfs(self.fd(node))
        sizes = (found.f_blocks, found.f_bfree, found.f_bavail, found.f_files, found.f_ffree)
        return struct.pack("=QQQQQIII28x", *sizes, found.f_bsize, found.f_namemax, found.f_frsize)

    def release(self, _, data):
        os.close(struct.unpack_from("=Q", data)[0])
        return b""

    def flush(self, _, __):
        return b""

    def fsync(self, _, data):
        os.fsync(struct.unpack_from("=Q", data)[0])
        return b""

    def opendir(self, node, _):
        return struct.pack("=QII", os.open(self.path(node), os.O_RDONLY | os.O_DIRECTORY), 0, 0)

    def readdir(self, _, data):
        handle, offset, size = struct.unpack_from("=QQI", data)
        answer = b""
        names = sorted(os.listdir(handle))
        for position, entry in enumerate(names[offset:], offset + 1):
            found = os.stat(entry, dir_fd=handle, follow_symlinks=False)
            word = os.fsencode(entry)
            one = struct.pack("=QQII", found.st_ino, position, len(word), found.st_mode >> 12) + word
            one += bytes(-len(one) % 8)
            if len(answer) + len(one) > size:
                break
            answer += one
        return answer


def name(data):
    return data.split(b"\0")[0]


def moment(valid, is_set, is_now, seconds, nanoseconds):
    if not valid & is_set:
        return 0, UTIME_OMIT
    return (0, UTIME_NOW) if valid & is_now else (seconds, nanoseconds)


def attributes(found):
    times = (found.st_atime_ns, found.st_mtime_ns, found.st_ctime_ns)
    return struct.pack(
        "=QQQQQQIIIIIIIIII", found.st_ino, found.st_size, found.st_blocks,
        *(each // 10**9 for each in times), *(each % 10**9 for each in times),
        found.st_mode, found.st_nlink, found.st_uid, found.st_gid, found.st_rdev, 4096, 0)


INIT, INTERRUPT = 26, 36
OPERATIONS = {
    1: Delaying.lookup, 2: Delaying.forget, 3: Delaying.getattr, 4: Delaying.setattr,
    5: Delaying.readlink, 6: Delaying.symlink, 9: Delaying.mkdir, 10: Delaying.unlink,
    11: Delaying.rmdir, 12: Delaying.rename, 13: Delaying.link, 14: Delaying.open,
    15: Delaying.read, 16: Delaying.write, 17: Delaying.statfs, 18: Delaying.release,
    20: Delaying.fsync, 25: Delaying.flush, INIT: Delaying.init, 27: Delaying.opendir,
    28: Delaying.readdir, 29: Delaying.release, 30: Delaying.fsync, 35: Delaying.create,
    42: Delaying.forget_many, 51: Delaying.tmpfile,
}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder")
    parser.add_argument("mountpoint")
    parser.add_argument("--mib", type=float, default=0)
    parser.add_argument("--call", type=float, default=0)
    parser.add_argument("--threads", type=int, default=64)
    args = parser.parse_args()
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    os.umask(0)
    file_system = Delaying(os.path.realpath(args.folder), args.mountpoint, args.mib, args.call)
    if os.fork() > 0:
        return
    os.setsid()
    threading.stack_size(256 << 10)
    threads = [threading.Thread(target=file_system.serve) for _ in range(args.threads)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    main()
