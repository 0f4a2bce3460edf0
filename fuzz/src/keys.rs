//! The keys of all seeds; the program that writes the seeds includes this file.

/// The file key of all seeds.
pub const FILE_KEY: [u8; 16] = [0x46; 16];
/// The X25519 secret key of all seeds.
pub const SECRET: [u8; 32] = [0x53; 32];
