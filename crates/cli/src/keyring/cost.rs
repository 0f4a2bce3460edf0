//! The cost of deriving a key from a passphrase, as users write it.

use cryptstream_format::argon2id::Cost;

/// The most lanes of Argon2id (RFC 9106).
const MAX_LANES: u32 = (1 << 24) - 1;

/// Parses `MEM[,T[,P]]`, such as `256MiB,3,4`; missing parts come from [`Cost::DEFAULT`].
pub(crate) fn parse_cost(text: &str) -> Option<Cost> {
    let default = Cost::DEFAULT;
    let mut parts = text.split(',');
    let memory_kib = parse_memory_kib(parts.next()?)?;
    let mut number = |default| parts.next().map_or(Some(default), |part| part.parse().ok());
    let cost = Cost { memory_kib, passes: number(default.passes)?, lanes: number(default.lanes)? };
    // RFC 9106: the memory is at least 8 KiB for each lane.
    let is_possible = cost.lanes <= MAX_LANES && cost.lanes <= cost.memory_kib / 8;
    (parts.next().is_none() && is_possible).then_some(cost)
}

/// Parses the same for a new file, and refuses a cost that is too low.
pub(crate) fn parse_encryption_cost(text: &str) -> Option<Cost> {
    parse_cost(text).filter(|cost| {
        cost.memory_kib >= Cost::MIN.memory_kib
            && cost.passes >= Cost::MIN.passes
            && cost.lanes >= Cost::MIN.lanes
    })
}

fn parse_memory_kib(text: &str) -> Option<u32> {
    [("GiB", 1 << 20), ("MiB", 1 << 10), ("KiB", 1)].iter().find_map(|(unit, kib)| {
        text.strip_suffix(unit)?.trim_end().parse::<u32>().ok()?.checked_mul(*kib)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn costs_are_read() {
        let cost = parse_cost;
        assert_eq!(cost("64MiB"), Some(Cost { memory_kib: 65536, passes: 3, lanes: 4 }));
        assert_eq!(cost("1GiB,5,8"), Some(Cost { memory_kib: 1 << 20, passes: 5, lanes: 8 }));
        assert_eq!(cost("70000KiB,4"), Some(Cost { memory_kib: 70_000, passes: 4, lanes: 4 }));
        for wrong in [
            "",
            "64",
            "64MB",
            "MiB",
            "-1MiB",
            "64MiB,",
            "64MiB,3,4,5",
            "64MiB,3,8193",
            "9999999GiB",
        ] {
            assert_eq!(cost(wrong), None, "{wrong:?}");
        }
    }
}
