//! Exit statuses, after sysexits.h.

pub(crate) const OK: u8 = 0;
pub(crate) const USAGE: u8 = 64;
pub(crate) const DATA: u8 = 65;
pub(crate) const NO_INPUT: u8 = 66;
pub(crate) const INTERNAL: u8 = 70;
pub(crate) const CANNOT_CREATE: u8 = 73;
pub(crate) const IO: u8 = 74;
pub(crate) const TRY_AGAIN: u8 = 75;
pub(crate) const NO_KEY: u8 = 77;
pub(crate) const CONFIG: u8 = 78;
