//! Secrets on the heap: wiped when they are freed, and in locked memory.
//!
//! Secrets are copied by code that we do not control: a library decodes a key into its own string,
//! or a vector grows and leaves its old block behind. No type that wipes itself on drop reaches
//! such copies, but the allocator sees them all. [`WipingAllocator`] wipes every block of up to
//! [`WIPED_LEN`] bytes before it is used again. While a [`SecretScope`] is open on a thread, what
//! that thread allocates comes from a small pool of memory that is never swapped out and is left
//! out of core dumps.
//!
//! Not covered: registers, stacks beyond the part that [`lock`] locks, blocks that C code
//! allocates (AWS-LC wipes its own), and blocks larger than [`MAX_BLOCK`].
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::{Cell, UnsafeCell};
use std::io;
use std::marker::PhantomData;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use rustix::mm::{MapFlags, ProtFlags};

use crate::platform::native;

/// The size of the pool if the limit on locked memory allows it, and otherwise the smaller size.
const POOL_LENS: [usize; 2] = [512 << 10, 32 << 10];
/// The sizes of blocks are powers of two.
const MIN_BLOCK: usize = 32;
/// Larger blocks do not come from the pool. This is enough for SSH keys and the first 64 KiB of an
/// identity file.
pub const MAX_BLOCK: usize = 64 << 10;
const CLASSES: usize = (MAX_BLOCK / MIN_BLOCK).ilog2() as usize + 1;
/// Blocks outside the pool are wiped up to this size. Larger ones are file contents, whose owners
/// wipe them if they are secret.
pub const WIPED_LEN: usize = 8 << 10;
/// How many bytes of the main thread's stack are locked, below the caller of [`lock`].
const STACK_LEN: usize = 48 << 10;

/// The allocator of a program that handles secrets: `#[global_allocator]`.
#[derive(Debug)]
pub struct WipingAllocator;

// SAFETY: blocks come from `System`, whose contract is passed through, or from the pool,
// which gives each block to one caller at a time, with at least the size and the
// alignment of the layout. Which of the two a block belongs to follows from its address.
unsafe impl GlobalAlloc for WipingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if is_in_scope()
            && let Some(block) = POOL.take(layout)
        {
            return block;
        }
        // SAFETY: the caller's promise about `layout`.
        noted(unsafe { System.alloc(layout) })
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if is_in_scope()
            && let Some(block) = POOL.take(layout)
        {
            // SAFETY: the block has `layout.size()` bytes and belongs to this caller.
            unsafe { ptr::write_bytes(block, 0, layout.size()) };
            return block;
        }
        // SAFETY: the caller's promise about `layout`.
        noted(unsafe { System.alloc_zeroed(layout) })
    }

    // Not inlined: inlined into every drop, it made the program a fifth larger.
    #[inline(never)]
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        let is_pooled = POOL.contains(block);
        if is_pooled || layout.size() <= WIPED_LEN {
            // SAFETY: the block has `layout.size()` bytes, and the caller gives it up.
            unsafe { wipe(block, layout.size()) };
        }
        if is_pooled {
            // SAFETY: it came from the pool, with this layout, and is given up.
            unsafe { POOL.give_back(block, layout) };
        } else {
            // SAFETY: it came from `System` with this layout.
            unsafe { System.dealloc(block, layout) };
        }
    }

    #[inline(never)]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        let is_pooled = POOL.contains(block);
        if !is_pooled && layout.size() > WIPED_LEN {
            // SAFETY: it came from `System` with this layout.
            return noted(unsafe { System.realloc(block, layout, new_size) });
        }
        // SAFETY: the caller's promise: the new size, rounded up to the alignment, does
        // not overflow.
        let new_layout = unsafe { Layout::from_size_align_unchecked(new_size, layout.align()) };
        // A block from the pool stays secret when it grows.
        let pooled = if is_pooled { POOL.take(new_layout) } else { None };
        // SAFETY: the caller's promise: `new_size` is not zero.
        let new_block = pooled.unwrap_or_else(|| unsafe { self.alloc(new_layout) });
        if !new_block.is_null() {
            let len = layout.size().min(new_size);
            // SAFETY: both blocks have `len` bytes, and are different blocks.
            unsafe { ptr::copy_nonoverlapping(block, new_block, len) };
            // SAFETY: the caller gives the old block up, as there is a new one.
            unsafe { self.dealloc(block, layout) };
        }
        new_block
    }
}

/// Set when the system has refused memory.
static REFUSED: OnceLock<Arc<AtomicBool>> = OnceLock::new();

/// A flag that is set when the system refuses memory to [`WipingAllocator`]. The standard library
/// may then abort the program, and a handler of that signal can tell why.
pub fn refused() -> Arc<AtomicBool> {
    Arc::clone(REFUSED.get_or_init(Arc::default))
}

#[cold]
fn note_refusal() {
    if let Some(refused) = REFUSED.get() {
        refused.store(true, Ordering::Relaxed);
    }
}

/// Records that the system has refused memory.
fn noted(block: *mut u8) -> *mut u8 {
    if block.is_null() {
        note_refusal();
    }
    block
}

/// Overwrites `len` bytes with zeros. The compiler cannot remove this although nobody reads them.
///
/// # Safety
/// `block` has `len` bytes that nobody else uses.
unsafe fn wipe(block: *mut u8, len: usize) {
    // SAFETY: the caller's promise.
    unsafe { ptr::write_bytes(block, 0, len) };
    // SAFETY: the assembly is empty. As it might read the memory, the compiler must have
    // written it.
    unsafe { std::arch::asm!("/* {0} */", in(reg) block, options(nostack, preserves_flags)) };
}

thread_local! {
    /// How many scopes are open on this thread. It has no destructor and a constant initial value,
    /// so an allocator can use it.
    static SCOPES: Cell<usize> = const { Cell::new(0) };
}

fn is_in_scope() -> bool {
    POOL.start.load(Ordering::Relaxed) != 0 && SCOPES.get() > 0
}

/// While this lives, its thread allocates from locked memory, as long as the pool has room and if
/// [`lock`] has succeeded. Open it where secrets are read, parsed or derived.
#[derive(Debug)]
pub struct SecretScope {
    /// Not `Send`: it belongs to its thread.
    _thread: PhantomData<*const ()>,
}

impl SecretScope {
    /// Opens a scope on this thread.
    #[must_use]
    pub fn open() -> Self {
        SCOPES.set(SCOPES.get() + 1);
        Self { _thread: PhantomData }
    }
}

impl Drop for SecretScope {
    fn drop(&mut self) {
        SCOPES.set(SCOPES.get().saturating_sub(1));
    }
}

/// Creates the pool of locked memory, and locks the part of this thread's stack that later calls
/// use. Call it once, from the main thread, before there are secrets.
///
/// # Errors
/// If the system does not let this process lock memory (`ulimit -l`). Secrets are then in ordinary
/// memory, and are still wiped.
pub fn lock() -> io::Result<()> {
    let mut result = Ok(());
    for len in POOL_LENS {
        result = POOL.create(len);
        if result.is_ok() {
            break;
        }
    }
    lock_stack();
    result
}

/// Locks the stack that later calls will use, as far as it is mapped already: on Linux 128 KiB at
/// the start of a process.
fn lock_stack() {
    const PAGE_LEN: usize = 4096;
    let marker = 0u8;
    let here = (&raw const marker).cast_mut();
    let start = here.map_addr(|here| (here - STACK_LEN) & !(PAGE_LEN - 1));
    // SAFETY: locking changes no content, and fails where nothing is mapped. A failure
    // leaves the stack as it was.
    let _ = unsafe { native::lock_memory(start, STACK_LEN) };
}

static POOL: Pool = Pool {
    start: AtomicUsize::new(0),
    len: AtomicUsize::new(0),
    is_taken: AtomicBool::new(false),
    state: UnsafeCell::new(State { used: 0, free: [ptr::null_mut(); CLASSES] }),
};

/// Locked memory in blocks of powers of two. Blocks that were given back are kept in a
/// list for each size; nothing is ever merged or returned to the system.
struct Pool {
    /// The address of the pool; 0 if there is none. Set once, after everything else.
    start: AtomicUsize,
    len: AtomicUsize,
    /// A spin lock, which needs no memory. It is held for a few instructions.
    is_taken: AtomicBool,
    /// Only used by the holder of the lock.
    state: UnsafeCell<State>,
}

struct State {
    /// Bytes from the start that are, or were, in use.
    used: usize,
    /// The first free block of each size, which holds the address of the next.
    free: [*mut u8; CLASSES],
}

// SAFETY: `state` is only used under the lock, and the blocks that it points to belong
// to the pool alone.
unsafe impl Sync for Pool {}

impl Pool {
    fn create(&self, len: usize) -> io::Result<()> {
        if self.start.load(Ordering::Acquire) != 0 {
            return Ok(());
        }
        let access = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a new mapping, at an address that the system chooses.
        let start =
            unsafe { rustix::mm::mmap_anonymous(ptr::null_mut(), len, access, MapFlags::PRIVATE) }?;
        // Each page is locked when it is first used.
        // SAFETY: the mapping above, which is never unmapped once this has succeeded.
        let locked = unsafe { native::lock_memory(start.cast(), len) };
        if let Err(error) = locked {
            // SAFETY: the mapping above; nobody has used it.
            let _ = unsafe { rustix::mm::munmap(start, len) };
            return Err(error);
        }
        // SAFETY: start and length of the mapping.
        unsafe { native::keep_from_dumps(start.cast(), len) };
        self.len.store(len, Ordering::Relaxed);
        self.start.store(start.expose_provenance(), Ordering::Release);
        Ok(())
    }

    fn contains(&self, block: *mut u8) -> bool {
        let start = self.start.load(Ordering::Acquire);
        start != 0 && block.addr().wrapping_sub(start) < self.len.load(Ordering::Relaxed)
    }

    /// Runs `work` with exclusive access to the state.
    fn with_state<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        while self.is_taken.swap(true, Ordering::Acquire) {
            std::thread::yield_now();
        }
        // SAFETY: only one thread comes past the lock, and `work`, which is in this file
        // and allocates nothing, does not come here again.
        let result = work(unsafe { &mut *self.state.get() });
        self.is_taken.store(false, Ordering::Release);
        result
    }

    /// A block for this layout; `None` if it is too large or nothing is left.
    fn take(&self, layout: Layout) -> Option<*mut u8> {
        let (class, len) = class(layout)?;
        let start = self.start.load(Ordering::Acquire);
        if start == 0 {
            return None;
        }
        self.with_state(|state| {
            let first = state.free[class];
            if !first.is_null() {
                // SAFETY: a free block holds the address of the next; blocks are aligned
                // for it, as the smallest has 32 bytes.
                state.free[class] = unsafe { first.cast::<*mut u8>().read() };
                return Some(first);
            }
            let offset = state.used.next_multiple_of(len);
            if offset + len > self.len.load(Ordering::Relaxed) {
                return None;
            }
            state.used = offset + len;
            Some(ptr::with_exposed_provenance_mut(start + offset))
        })
    }

    /// Takes a wiped block back.
    ///
    /// # Safety
    /// It was [taken](Self::take) for this layout, and nobody uses it any more.
    unsafe fn give_back(&self, block: *mut u8, layout: Layout) {
        let Some((class, _)) = class(layout) else { return };
        self.with_state(|state| {
            // SAFETY: the block belongs to the pool again and has at least 32 bytes.
            unsafe { block.cast::<*mut u8>().write(state.free[class]) };
            state.free[class] = block;
        });
    }
}

/// The class of a layout, and the length of its blocks, which is also their alignment up
/// to that of a page.
fn class(layout: Layout) -> Option<(usize, usize)> {
    let len = layout.size().max(layout.align()).max(MIN_BLOCK).next_power_of_two();
    let is_fit = len <= MAX_BLOCK && layout.align() <= 4096;
    is_fit.then(|| ((len / MIN_BLOCK).ilog2() as usize, len))
}

#[cfg(test)]
mod tests;
