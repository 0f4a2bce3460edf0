"""A file system that lacks what it is told to lack.

    faulty.py FOLDER MOUNTPOINT [FAULT...]

shows FOLDER under MOUNTPOINT, through FUSE, until it is unmounted. As every file system
of this library it has no unnamed files and no flags of rename. A FAULT is one of

    NAME=ERROR     the operation NAME fails: link=EPERM, utimens=ENOSYS, chmod=EPERM,
                   chown=EPERM, fsync=EINVAL, truncate=ENOSYS, rename=EPERM
    new-inodes     every look at a file gives it another inode number
    one-inode      all files have the same inode number
    coarse         times are kept at two seconds, as FAT does it
    fold           names that differ in upper and lower case only are one name
    append         files are written front to back only, as object stores want it
    hidden-mtime   the times of a look by name and of one by descriptor differ

Besides ci/filesystems.sh, see https://libfuse.github.io/doxygen/structfuse__operations.html.
"""

import errno
import os
import sys

import fusepy
from fusepy import FuseOSError

STAT = ("st_mode", "st_nlink", "st_uid", "st_gid", "st_size", "st_ino",
        "st_atime", "st_mtime", "st_ctime", "st_blocks")


class Faulty(fusepy.Operations):
    use_ns = True

    def __init__(self, root, faults):
        self.root = root
        self.refused = dict(fault.split("=") for fault in faults if "=" in fault)
        self.flags = {fault for fault in faults if "=" not in fault}
        self.inode = 1 << 20
        self.ends = {}

    def __call__(self, operation, path, *arguments):
        if operation in self.refused:
            raise FuseOSError(getattr(errno, self.refused[operation]))
        if not hasattr(self, operation):
            raise FuseOSError(errno.ENOSYS)
        try:
            return getattr(self, operation)(self.real(path), *arguments)
        except OSError as error:
            raise FuseOSError(error.errno) from error

    def real(self, path):
        place = self.root
        for name in filter(None, path.split("/")):
            is_folded = "fold" in self.flags and os.path.isdir(place)
            names = os.listdir(place) if is_folded else []
            same = [other for other in names if other.casefold() == name.casefold()]
            place += "/" + (same[0] if same else name)
        return place

    def getattr(self, path, handle=None):
        stat = os.lstat(path) if handle is None else os.fstat(handle)
        found = {name: getattr(stat, name) for name in STAT}
        for name in ("st_atime", "st_mtime", "st_ctime"):
            found[name] = getattr(stat, name + "_ns")
            if "coarse" in self.flags:
                found[name] -= found[name] % 2_000_000_000
        if "hidden-mtime" in self.flags and handle is None:
            found["st_mtime"] -= 1_000_000_000
        if "new-inodes" in self.flags:
            self.inode += 1
            found["st_ino"] = self.inode
        if "one-inode" in self.flags:
            found["st_ino"] = 1 << 20
        return found

    def readdir(self, path, handle):
        return [".", "..", *os.listdir(path)]

    def readlink(self, path):
        return os.readlink(path)

    def mkdir(self, path, mode):
        os.mkdir(path, mode)

    def rmdir(self, path):
        os.rmdir(path)

    def unlink(self, path):
        os.unlink(path)

    def symlink(self, path, target):
        os.symlink(target, path)

    def rename(self, path, new):
        os.rename(path, self.real(new))

    def link(self, path, target):
        os.link(self.real(target), path)

    def chmod(self, path, mode):
        os.chmod(path, mode)

    def chown(self, path, uid, gid):
        os.lchown(path, uid, gid)

    def utimens(self, path, times=None):
        os.utime(path, ns=times, follow_symlinks=False)

    def statfs(self, path):
        stat = os.statvfs(path)
        names = ("f_bavail", "f_bfree", "f_blocks", "f_bsize", "f_favail", "f_ffree",
                 "f_files", "f_frsize", "f_namemax")
        return {name: getattr(stat, name) for name in names}

    def create(self, path, mode, info=None):
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, mode)

    def open(self, path, flags):
        return os.open(path, flags & ~os.O_NOFOLLOW)

    def read(self, path, size, offset, handle):
        return os.pread(handle, size, offset)

    def write(self, path, data, offset, handle):
        if "append" in self.flags:
            if offset != self.ends.get(handle, 0):
                raise OSError(errno.EPERM, "")
            self.ends[handle] = offset + len(data)
        return os.pwrite(handle, data, offset)

    def truncate(self, path, length, handle=None):
        os.truncate(path if handle is None else handle, length)

    def flush(self, path, handle):
        pass

    def fsync(self, path, datasync, handle):
        os.fsync(handle)

    def release(self, path, handle):
        self.ends.pop(handle, None)
        os.close(handle)


if __name__ == "__main__":
    folder, mountpoint, *faults = sys.argv[1:]
    fusepy.FUSE(
        Faulty(os.path.realpath(folder), faults), mountpoint, raw_fi=False, foreground=False,
        nothreads=True, use_ino=True, allow_other=True, attr_timeout=0, entry_timeout=0)
