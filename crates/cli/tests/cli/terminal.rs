//! The program on a terminal, as a person uses it: questions, signals, progress, and losing the
//! terminal.

mod hang_up;
mod output;
mod pipes;
mod progress;
mod prompts;
mod signals;
