#![allow(unsafe_code)]

use super::*;

#[global_allocator]
static ALLOCATOR: WipingAllocator = WipingAllocator;

#[test]
fn blocks_of_a_scope_lie_in_the_pool_and_others_do_not() {
    lock().unwrap();
    let is_pooled = |bytes: &[u8]| POOL.contains(bytes.as_ptr().cast_mut());
    let outside = vec![1u8; 100];
    let scope = SecretScope::open();
    let mut within = vec![2u8; 100];
    let large = vec![3u8; MAX_BLOCK + 1];
    drop(scope);
    assert!(!is_pooled(&outside) && is_pooled(&within) && !is_pooled(&large));
    within.extend_from_slice(&[2; 1000]);
    assert!(is_pooled(&within), "what has grown is secret still");
    assert!(within.iter().all(|byte| *byte == 2));
    let after = vec![4u8; outside.len()];
    assert!(!is_pooled(&after));
}

#[test]
fn what_is_freed_is_wiped() {
    lock().unwrap();
    for is_secret in [true, false] {
        let scope = is_secret.then(SecretScope::open);
        let layout = Layout::from_size_align(256, 8).unwrap();
        // SAFETY: the layout is not empty.
        let block = unsafe { ALLOCATOR.alloc(layout) };
        // SAFETY: it has 256 bytes.
        unsafe { ptr::write_bytes(block, 0xa5, 256) };
        // SAFETY: as allocated, and not used as a block again.
        unsafe { ALLOCATOR.dealloc(block, layout) };
        drop(scope);
        // The allocators keep their free lists in the first bytes.
        let rest = block.wrapping_add(64).cast::<[u8; 128]>();
        // SAFETY: the memory is still mapped, whoever owns it now; the test only looks.
        let rest: [u8; 128] = unsafe { rest.read_volatile() };
        assert!(!rest.contains(&0xa5), "secret: {is_secret}");
    }
}

#[test]
fn threads_share_the_pool_and_each_block_has_one_owner() {
    lock().unwrap();
    let work = |mark: u8| {
        move || {
            let _scope = SecretScope::open();
            for round in 0..2000usize {
                let len = 1 + round * 37 % 5000;
                let mut blocks: Vec<_> = (0..4).map(|_| vec![mark; len]).collect();
                blocks[1].resize(len * 2, mark);
                assert!(blocks.iter().all(|block| block.iter().all(|byte| *byte == mark)));
            }
        }
    };
    std::thread::scope(|scope| {
        for mark in 1..5 {
            scope.spawn(work(mark));
        }
    });
}

#[test]
fn alignment_is_kept() {
    lock().unwrap();
    let _scope = SecretScope::open();
    for power in 0..14 {
        let layout = Layout::from_size_align(24, 1 << power).unwrap();
        // SAFETY: the layout is not empty.
        let block = unsafe { ALLOCATOR.alloc_zeroed(layout) };
        assert_eq!(block.addr() % layout.align(), 0);
        // SAFETY: as allocated.
        unsafe { ALLOCATOR.dealloc(block, layout) };
    }
}
