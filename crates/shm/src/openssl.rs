//! OpenSSL's ChaCha20-Poly1305 (RFC 8439), from the system's library, which is loaded when it is
//! first asked for.
//!
//! A program that is linked to the library pays for it at every start, whatever it does, since the
//! addresses in the library's tables have to be relocated. `docs/performance.md` has the figures.
#![allow(unsafe_code)]

use std::ffi::{CStr, c_char, c_int, c_uchar, c_void};
use std::mem::transmute;
use std::ptr::{self, NonNull};

/// The library, in any version 3.
#[cfg(not(target_feature = "crt-static"))]
const LIBRARY: &CStr = c"libcrypto.so.3";

const KEY_LEN: usize = 32;
const NONCE_LEN: usize = 12;
const TAG_LEN: usize = 16;

// Of <openssl/crypto.h> and <openssl/evp.h>.
const OPENSSL_INIT_NO_LOAD_CONFIG: u64 = 0x80;
const OPENSSL_INIT_NO_ATEXIT: u64 = 0x0008_0000;
const OPENSSL_VERSION: c_int = 0;
const EVP_CTRL_AEAD_GET_TAG: c_int = 0x10;
const EVP_CTRL_AEAD_SET_TAG: c_int = 0x11;
const EVP_MAX_BLOCK_LENGTH: usize = 32;

/// Declares the functions that are used, with the types that they have in the headers.
macro_rules! functions {
    ($($field:ident = $name:literal: fn($($argument:ty),*) $(-> $result:ty)?;)*) => {
        /// Functions of the library.
        #[derive(Debug)]
        struct Functions {
            $($field: unsafe extern "C" fn($($argument),*) $(-> $result)?),*
        }

        impl Functions {
            /// Looks all of them up.
            fn of(library: NonNull<c_void>) -> Option<Self> {
                $(
                    let address = address_of(library, $name)?;
                    // SAFETY: the function has this type in all versions 3 of OpenSSL, which are
                    // compatible. The library is never unloaded.
                    let $field = unsafe {
                        transmute::<NonNull<c_void>, unsafe extern "C" fn($($argument),*) $(-> $result)?>(
                            address,
                        )
                    };
                )*
                Some(Self { $($field),* })
            }
        }
    };
}

functions! {
    init = c"OPENSSL_init_crypto": fn(u64, *const c_void) -> c_int;
    version = c"OpenSSL_version": fn(c_int) -> *const c_char;
    new_library_context = c"OSSL_LIB_CTX_new": fn() -> *mut c_void;
    fetch = c"EVP_CIPHER_fetch": fn(*mut c_void, *const c_char, *const c_char) -> *mut c_void;
    new_context = c"EVP_CIPHER_CTX_new": fn() -> *mut c_void;
    free_context = c"EVP_CIPHER_CTX_free": fn(*mut c_void);
    set_key = c"EVP_CipherInit_ex2":
        fn(*mut c_void, *const c_void, *const c_uchar, *const c_uchar, c_int, *const c_void) -> c_int;
    update = c"EVP_CipherUpdate":
        fn(*mut c_void, *mut c_uchar, *mut c_int, *const c_uchar, c_int) -> c_int;
    finish = c"EVP_CipherFinal_ex": fn(*mut c_void, *mut c_uchar, *mut c_int) -> c_int;
    control = c"EVP_CIPHER_CTX_ctrl": fn(*mut c_void, c_int, c_int, *mut c_void) -> c_int;
}

/// OpenSSL's ChaCha20-Poly1305, without associated data.
#[derive(Debug)]
pub struct OpensslChaCha20Poly1305 {
    functions: Functions,
    /// An `EVP_CIPHER`.
    cipher: NonNull<c_void>,
    version: &'static str,
}

// SAFETY: the functions can be called from any thread. The cipher is never freed, and nothing in it
// changes but its reference count, which is atomic.
unsafe impl Send for OpensslChaCha20Poly1305 {}
// SAFETY: as above.
unsafe impl Sync for OpensslChaCha20Poly1305 {}

impl OpensslChaCha20Poly1305 {
    /// Loads the library, which then stays loaded. Returns `None` if it cannot be loaded, and in
    /// static programs, which can load nothing.
    ///
    /// This process never reads a configuration of OpenSSL then, which could load other code, and
    /// nothing of it runs when the process exits.
    #[must_use]
    pub fn load() -> Option<Self> {
        let library = open_library()?;
        let openssl = Self::new(library)?;
        // A process that enters a sandbox afterwards has everything then that OpenSSL needs.
        openssl
            .seal(&[0; KEY_LEN], &[0; NONCE_LEN], &[], &mut [], &mut [0; TAG_LEN])
            .then_some(openssl)
    }

    fn new(library: NonNull<c_void>) -> Option<Self> {
        let functions = Functions::of(library)?;
        let options = OPENSSL_INIT_NO_LOAD_CONFIG | OPENSSL_INIT_NO_ATEXIT;
        // SAFETY: without settings, as the second argument says.
        let is_ready = unsafe { (functions.init)(options, ptr::null()) } == 1;
        // A context of our own: who else uses OpenSSL in this process may change the default one.
        // SAFETY: needs nothing.
        let context = unsafe { (functions.new_library_context)() };
        if !is_ready || context.is_null() {
            return None;
        }
        let (name, properties) = (c"ChaCha20-Poly1305".as_ptr(), ptr::null());
        // SAFETY: the context was just made and is never freed; the name ends in a zero byte.
        let cipher = NonNull::new(unsafe { (functions.fetch)(context, name, properties) })?;
        // SAFETY: needs nothing.
        let version = NonNull::new(unsafe { (functions.version)(OPENSSL_VERSION) }.cast_mut())?;
        // SAFETY: it is a constant text of the library, which is never unloaded.
        let version = unsafe { CStr::from_ptr(version.as_ptr()) }.to_str().ok()?;
        Some(Self { functions, cipher, version })
    }

    /// Name, version and date, such as `OpenSSL 3.0.19 27 Jan 2026`.
    #[must_use]
    pub fn version(&self) -> &'static str {
        self.version
    }

    /// Seals `plaintext` into `ciphertext` and `tag`. Returns whether that has worked; it fails if
    /// there is not enough memory.
    ///
    /// # Panics
    /// If `ciphertext` is not as long as `plaintext`, or longer than 2 GiB.
    #[must_use]
    pub fn seal(
        &self,
        key: &[u8; KEY_LEN],
        nonce: &[u8; NONCE_LEN],
        plaintext: &[u8],
        ciphertext: &mut [u8],
        tag: &mut [u8; TAG_LEN],
    ) -> bool {
        let mut seal = || {
            let mut context = Context::new(&self.functions)?;
            context.set_key(self.cipher, key, nonce, true)?;
            context.update(plaintext, ciphertext)?;
            context.finish()?;
            context.control(EVP_CTRL_AEAD_GET_TAG, tag)
        };
        seal().is_some()
    }

    /// Opens `ciphertext` and `tag` into `plaintext`. Returns whether the tag is right. If not, or
    /// if there is not enough memory, there are unverified bytes in `plaintext`.
    ///
    /// # Panics
    /// If `plaintext` is not as long as `ciphertext`, or longer than 2 GiB.
    #[must_use]
    pub fn open(
        &self,
        key: &[u8; KEY_LEN],
        nonce: &[u8; NONCE_LEN],
        ciphertext: &[u8],
        tag: &[u8; TAG_LEN],
        plaintext: &mut [u8],
    ) -> bool {
        let mut open = || {
            let mut context = Context::new(&self.functions)?;
            context.set_key(self.cipher, key, nonce, false)?;
            context.control(EVP_CTRL_AEAD_SET_TAG, &mut tag.clone())?;
            context.update(ciphertext, plaintext)?;
            context.finish()
        };
        open().is_some()
    }
}

/// An `EVP_CIPHER_CTX`.
struct Context<'a> {
    functions: &'a Functions,
    context: NonNull<c_void>,
}

impl<'a> Context<'a> {
    fn new(functions: &'a Functions) -> Option<Self> {
        // SAFETY: needs nothing.
        let context = NonNull::new(unsafe { (functions.new_context)() })?;
        Some(Self { functions, context })
    }

    fn set_key(
        &mut self,
        cipher: NonNull<c_void>,
        key: &[u8; KEY_LEN],
        nonce: &[u8; NONCE_LEN],
        seals: bool,
    ) -> Option<()> {
        let (context, cipher) = (self.context.as_ptr(), cipher.as_ptr());
        let (key, nonce, seals) = (key.as_ptr(), nonce.as_ptr(), c_int::from(seals));
        // SAFETY: both are valid, and key and nonce are as long as this cipher reads them.
        let code =
            unsafe { (self.functions.set_key)(context, cipher, key, nonce, seals, ptr::null()) };
        succeeded(code)
    }

    fn update(&mut self, input: &[u8], output: &mut [u8]) -> Option<()> {
        assert_eq!(input.len(), output.len(), "this cipher keeps the length");
        let len = c_int::try_from(input.len()).expect("a chunk is shorter than 2 GiB");
        let (context, mut written) = (self.context.as_ptr(), 0);
        let (from, to) = (input.as_ptr(), output.as_mut_ptr());
        // SAFETY: the context has a key. A stream cipher reads and writes `len` bytes, which both
        // slices have.
        let code = unsafe { (self.functions.update)(context, to, &raw mut written, from, len) };
        succeeded(code).filter(|()| written == len)
    }

    /// Computes the tag, or compares it with the one that was set.
    fn finish(&mut self) -> Option<()> {
        let (mut rest, mut written) = ([0; EVP_MAX_BLOCK_LENGTH], 0);
        let (context, rest) = (self.context.as_ptr(), rest.as_mut_ptr());
        // SAFETY: the context has a key. No more than one block is written, and none by a stream
        // cipher.
        succeeded(unsafe { (self.functions.finish)(context, rest, &raw mut written) })
    }

    /// Gets or sets the tag.
    fn control(&mut self, command: c_int, tag: &mut [u8; TAG_LEN]) -> Option<()> {
        let (context, tag) = (self.context.as_ptr(), tag.as_mut_ptr().cast());
        // SAFETY: both commands read or write as many bytes as they are told, and `tag` has them.
        succeeded(unsafe { (self.functions.control)(context, command, TAG_LEN as c_int, tag) })
    }
}

impl Drop for Context<'_> {
    /// Frees it, whereby OpenSSL wipes the key.
    fn drop(&mut self) {
        // SAFETY: it was made by the same library, and nothing uses it any more.
        unsafe { (self.functions.free_context)(self.context.as_ptr()) };
    }
}

fn succeeded(code: c_int) -> Option<()> {
    (code == 1).then_some(())
}

#[cfg(not(target_feature = "crt-static"))]
fn open_library() -> Option<NonNull<c_void>> {
    // SAFETY: the name ends in a zero byte. What runs while the library is loaded is OpenSSL's,
    // and may run at any time.
    NonNull::new(unsafe { libc::dlopen(LIBRARY.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL) })
}

#[cfg(target_feature = "crt-static")]
fn open_library() -> Option<NonNull<c_void>> {
    None
}

fn address_of(library: NonNull<c_void>, name: &CStr) -> Option<NonNull<c_void>> {
    // SAFETY: the library is loaded, and the name ends in a zero byte.
    NonNull::new(unsafe { libc::dlsym(library.as_ptr(), name.as_ptr()) })
}
