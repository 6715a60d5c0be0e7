// SPDX-License-Identifier: MIT
//! wtransport as a client or a server for ../run.py.
//!
//!     peer client BASE CASE...
//!     peer server CERTIFICATE KEY

mod client;
mod codes;
mod server;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let words: Vec<&str> = arguments.iter().skip(1).map(String::as_str).collect();

    match words[..] {
        ["client", base, ref cases @ ..] if !cases.is_empty() => {
            client::run(base, cases).await
        }
        ["server", certificate, key] => {
            if let Err(error) = server::run(certificate, key).await {
                eprintln!("{error}");
                std::process::exit(1);
            }
        }
        _ => {
            eprintln!("usage: peer client BASE CASE... | peer server CERTIFICATE KEY");
            std::process::exit(2);
        }
    }
}
