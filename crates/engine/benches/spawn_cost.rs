//! The cost of starting workers: the time until all are sandboxed and ready, and the time to end
//! them. Medians of 21 runs: `cargo bench -p cryptstream-engine`.

use std::time::{Duration, Instant};

use cryptstream_engine::{Engine, EngineOptions, Error, Processes, SandboxMode, init_worker};

fn main() -> Result<(), Error> {
    let program = init_worker();
    println!("workers  sandbox  ready after  each  ended after");
    for sandbox in [SandboxMode::Auto, SandboxMode::Off] {
        for count in [1, 2, 4, 8, 16] {
            let mut started = Vec::new();
            let mut ended = Vec::new();
            for _ in 0..21 {
                let processes = Processes::Exactly(count);
                let options = EngineOptions {
                    processes,
                    sandbox,
                    program: Some(program.clone()),
                    ..EngineOptions::default()
                };
                let mut engine = Engine::new(options, 2);
                let start = Instant::now();
                engine.warm_up()?;
                started.push(start.elapsed());
                let start = Instant::now();
                drop(engine);
                ended.push(start.elapsed());
            }
            let (started, ended) = (median(started), median(ended));
            println!(
                "{count:7}  {:7}  {:8.2} ms  {:.2}  {:8.2} ms",
                if sandbox == SandboxMode::Off { "off" } else { "auto" },
                started * 1e3,
                started * 1e3 / f64::from(count),
                ended * 1e3,
            );
        }
    }
    Ok(())
}

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    times[times.len() / 2].as_secs_f64()
}
