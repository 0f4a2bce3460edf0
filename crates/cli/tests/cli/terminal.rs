//! What happens on a terminal, as a person meets it: questions, signals, progress, and the
//! terminal's end.

mod hang_up;
mod output;
mod pipes;
mod progress;
mod prompts;
mod signals;
