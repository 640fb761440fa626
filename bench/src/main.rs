//! `larder-bench`: Larder beside the caches that people use now.

fn main() -> std::process::ExitCode {
    larder_bench::main(None)
}
