use std::io::{Read, Seek, Write};
use std::sync::atomic::Ordering;

use super::*;

fn bytes(region: &Region, offset: usize, len: usize) -> Vec<u8> {
    let mut bytes = vec![0xff; len];
    region.copy_out(offset, &mut bytes);
    bytes
}

#[test]
fn what_one_mapping_writes_the_other_reads() {
    for backing in [Backing::Native, Backing::Portable] {
        let one = Region::create_on(backing, 10_000).unwrap();
        assert_eq!(bytes(&one, 0, 10_000), vec![0; 10_000]);
        let fd = one.as_fd().try_clone_to_owned().unwrap();
        let two = Region::attach_on(backing, fd).unwrap();
        assert_eq!(two.len(), 10_000);
        one.copy_in(9_995, b"12345");
        assert_eq!(bytes(&two, 9_994, 6), b"\x0012345");
        two.atomic_u64(16).store(7, Ordering::Relaxed);
        two.atomic_u32(24).store(8, Ordering::Relaxed);
        assert_eq!(one.atomic_u64(16).load(Ordering::Relaxed), 7);
        assert_eq!(one.atomic_u32(24).load(Ordering::Relaxed), 8);
    }
}

#[test]
fn a_region_is_not_passed_on_by_accident() {
    for backing in [Backing::Native, Backing::Portable] {
        let region = Region::create_on(backing, 1).unwrap();
        let flags = rustix::io::fcntl_getfd(region.as_fd()).unwrap();
        assert!(flags.contains(rustix::io::FdFlags::CLOEXEC));
    }
}

#[test]
#[cfg(all(target_os = "linux", not(portable_platform)))]
fn what_could_shrink_is_refused() {
    use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, ftruncate, memfd_create};
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let memory = |len, seals| {
        let fd = memfd_create(c"test", flags).unwrap();
        ftruncate(&fd, len).unwrap();
        fcntl_add_seals(&fd, seals).unwrap();
        fd
    };
    let all = SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL;
    assert_eq!(Region::attach(memory(100, all)).unwrap().len(), 100);
    for seals in [SealFlags::empty(), all - SealFlags::SHRINK, all - SealFlags::SEAL] {
        let error = Region::attach(memory(100, seals)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{seals:?}");
    }
    let error = Region::attach(memory(0, all)).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    // A file has no seals, and a pipe has no length.
    assert!(Region::attach(tempfile::tempfile().unwrap().into()).is_err());
    assert!(Region::attach(rustix::pipe::pipe().unwrap().0).is_err());

    let region = Region::create(4096).unwrap();
    assert!(ftruncate(&region, 0).is_err(), "it cannot shrink");
    assert!(ftruncate(&region, 8192).is_err(), "it cannot grow");
    assert!(fcntl_add_seals(&region, SealFlags::WRITE).is_err(), "nor be sealed further");
}

#[test]
fn descriptors_are_read_and_written_in_place() {
    let region = Region::create(8192).unwrap();
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(b"0123456789").unwrap();

    assert_eq!(region.pread_into(&file, 4, 100, 50).unwrap(), 6);
    assert_eq!(bytes(&region, 99, 8), b"\x00456789\x00");
    assert_eq!(region.pread_into(&file, 10, 100, 50).unwrap(), 0);
    file.rewind().unwrap();
    assert_eq!(region.read_into(&file, 8188, 4).unwrap(), 4);
    assert_eq!(bytes(&region, 8188, 4), b"0123");

    assert_eq!(region.pwrite_from(&file, 1, 100, 3).unwrap(), 3);
    file.seek(io::SeekFrom::Start(8)).unwrap();
    assert_eq!(region.write_from(&file, 8188, 4).unwrap(), 4);
    let mut content = Vec::new();
    file.rewind().unwrap();
    file.read_to_end(&mut content).unwrap();
    assert_eq!(content, b"045645670123");

    let read_only = std::fs::File::open("/dev/null").unwrap();
    assert!(region.write_from(&read_only, 0, 1).is_err());
    assert!(region.pread_into(&file, u64::MAX, 0, 1).is_err());
}

#[test]
fn bounds_are_bounds() {
    let region = Arc::new(Region::create(100).unwrap());
    assert!(region.contains(0, 100) && region.contains(100, 0));
    assert!(!region.contains(1, 100) && !region.contains(101, 0));
    assert!(!region.contains(usize::MAX, 2));
    region.copy_in(100, b"");
    let file = tempfile::tempfile().unwrap();
    let beyond: [&dyn Fn(); 10] = [
        &|| region.copy_in(100, b"x"),
        &|| region.copy_out(usize::MAX, &mut [0]),
        &|| drop(region.pread_into(&file, 0, 99, 2)),
        &|| drop(region.pwrite_from(&file, 0, 99, 2)),
        &|| drop(region.read_into(&file, 99, 2)),
        &|| drop(region.write_from(&file, 99, 2)),
        &|| _ = region.atomic_u64(96),
        &|| _ = region.atomic_u32(2),
        &|| drop(RegionWords::new(region.clone(), 8, 12)),
        &|| drop(RegionWords::new(region.clone(), 4, 1)),
    ];
    for (index, access) in beyond.into_iter().enumerate() {
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(access));
        assert!(result.is_err(), "access {index}");
    }
    assert!(Region::create(0).is_err());
    assert!(Region::create(usize::MAX).is_err());
}
