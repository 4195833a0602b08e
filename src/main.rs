//! The program: all of it is in [`novascale::cli`].

fn main() -> std::process::ExitCode {
    novascale::cli::main(std::env::args_os())
}
