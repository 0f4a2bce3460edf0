//! Which shard a process is to run.

use crate::messages::{self, Failure};

/// Variables in which engines tell an array task its number, with the variable or the number that
/// the array begins with.
const VARIABLES: [(&str, First); 9] = [
    ("SLURM_ARRAY_TASK_ID", First::Variable("SLURM_ARRAY_TASK_MIN")),
    ("JOB_COMPLETION_INDEX", First::Number(0)),
    ("AWS_BATCH_JOB_ARRAY_INDEX", First::Number(0)),
    ("HQ_TASK_ID", First::Number(0)),
    ("PBS_ARRAY_INDEX", First::Number(0)),
    ("LSB_JOBINDEX", First::Number(1)),
    ("SGE_TASK_ID", First::Variable("SGE_TASK_FIRST")),
    ("CLOUD_RUN_TASK_INDEX", First::Number(0)),
    ("BATCH_TASK_INDEX", First::Number(0)),
];

/// What an array begins with.
#[derive(Clone, Copy)]
enum First {
    Number(u64),
    Variable(&'static str),
}

/// The shard that `--shard` names, of this many.
pub(super) fn shard_number(text: &str, shards: usize) -> Result<u32, Failure> {
    if text == "auto" {
        return of_engine(shards, |name| std::env::var(name).ok());
    }
    let refused = || messages::job::bad_shard(text, shards);
    let (number, of) = match text.split_once('/') {
        Some((number, of)) => (number, of.parse().map_err(|_| refused())?),
        None => (text, shards),
    };
    let number = number.parse::<u32>().map_err(|_| refused())?;
    if of != shards || number as usize >= shards {
        return Err(refused());
    }
    Ok(number)
}

/// The shard that an engine has set in a variable.
fn of_engine(shards: usize, get: impl Fn(&str) -> Option<String>) -> Result<u32, Failure> {
    // Grid Engine sets it outside of arrays as well.
    let get = |name: &str| get(name).filter(|value| !value.is_empty() && value != "undefined");
    let found = VARIABLES.iter().find_map(|(name, first)| Some((*name, *first, get(name)?)));
    let (name, first, value) = found.ok_or_else(messages::job::no_shard_variable)?;
    let first = match first {
        First::Number(first) => Some(first),
        First::Variable(first) => get(first).map_or(Some(0), |first| first.parse().ok()),
    };
    let number = first.and_then(|first| value.parse::<u64>().ok()?.checked_sub(first));
    let number = number.and_then(|number| u32::try_from(number).ok());
    number
        .filter(|number| (*number as usize) < shards)
        .ok_or_else(|| messages::job::bad_shard_variable(name, &value, shards))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(variables: &[(&str, &str)]) -> Option<u32> {
        let get = |name: &str| {
            let found = variables.iter().find(|(variable, _)| *variable == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        of_engine(10, get).ok()
    }

    #[test]
    fn the_number_comes_from_the_engine() {
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[("SLURM_ARRAY_TASK_ID", "3"), ("SLURM_ARRAY_TASK_MIN", "0")]), Some(3));
        assert_eq!(of(&[("SLURM_ARRAY_TASK_ID", "3"), ("SLURM_ARRAY_TASK_MIN", "1")]), Some(2));
        assert_eq!(of(&[("SLURM_ARRAY_TASK_ID", "10")]), None);
        assert_eq!(of(&[("JOB_COMPLETION_INDEX", "0")]), Some(0));
        assert_eq!(of(&[("LSB_JOBINDEX", "10")]), Some(9));
        assert_eq!(of(&[("LSB_JOBINDEX", "0")]), None);
        assert_eq!(of(&[("SGE_TASK_ID", "undefined"), ("BATCH_TASK_INDEX", "4")]), Some(4));
        assert_eq!(of(&[("SGE_TASK_ID", "5"), ("SGE_TASK_FIRST", "5")]), Some(0));
        assert_eq!(of(&[("AWS_BATCH_JOB_ARRAY_INDEX", "-1")]), None);
        assert_eq!(of(&[("PBS_ARRAY_INDEX", "18446744073709551616")]), None);
    }

    #[test]
    fn the_number_on_the_command_line_must_be_one_of_the_jobs() {
        let number = |text: &str| shard_number(text, 3).ok();
        assert_eq!(number("0/3"), Some(0));
        assert_eq!(number("2"), Some(2));
        for wrong in ["3/3", "0/4", "-1/3", "1/", "/3", "", "x", "1/3/3", "4294967296"] {
            assert_eq!(number(wrong), None, "{wrong}");
        }
    }
}
