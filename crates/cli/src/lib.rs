//! The command-line program `cryptstream`. It has no library interface: programs that encrypt
//! and decrypt use the crate [`cryptstream-engine`](https://docs.rs/cryptstream-engine).
