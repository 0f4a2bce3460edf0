//! The extension module `cryptstream._native`: classes over the engine's public interface, which
//! the Python files of the package call. Its interface is in `_native.pyi`.
//!
//! What takes long runs on a thread of its own ([`operation`]), and Python waits for it in short
//! steps. So signal handlers, such as that of Ctrl-C, run in time, and no Python code runs
//! anywhere but in the thread that called.

mod errors;
mod in_memory;
mod keys;
mod operation;
mod pipes;
mod reader;
mod requests;

use pyo3::prelude::*;

#[pymodule]
fn _native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    // Python has handlers of its own.
    cryptstream_engine::leave_signals_alone();
    module.add("VERSION", env!("CARGO_PKG_VERSION"))?;
    module.add_class::<keys::Identity>()?;
    module.add_class::<keys::Recipient>()?;
    module.add_class::<operation::Operation>()?;
    module.add_class::<pipes::InputPipe>()?;
    module.add_class::<pipes::OutputPipe>()?;
    module.add_class::<reader::FileReader>()?;
    module.add_class::<in_memory::EncryptedLayout>()?;
    module.add_class::<in_memory::Encryption>()?;
    module.add_function(wrap_pyfunction!(requests::start_encrypt, module)?)?;
    module.add_function(wrap_pyfunction!(requests::start_decrypt, module)?)?;
    module.add_function(wrap_pyfunction!(requests::start_verify, module)?)?;
    module.add_function(wrap_pyfunction!(requests::start_inspect, module)?)?;
    module.add_function(wrap_pyfunction!(requests::start_rekey, module)?)?;
    module.add_function(wrap_pyfunction!(reader::start_open, module)?)?;
    module.add_function(wrap_pyfunction!(in_memory::start_layout, module)?)?;
    module.add_function(wrap_pyfunction!(in_memory::start_encryption, module)?)?;
    module.add_function(wrap_pyfunction!(in_memory::armor, module)?)?;
    module.add_function(wrap_pyfunction!(in_memory::unarmor, module)?)?;
    Ok(())
}
