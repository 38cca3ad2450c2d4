use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;
use e2mc::{Listen, Result, TOKEN_VARIABLE, serve};

#[derive(Args)]
pub(crate) struct Arguments {
    /// Devices of this machine: flex (the CPU), cuda:0, or several, as cuda:0,cuda:1
    #[arg(long, value_name = "LIST", default_value = "flex")]
    device: String,
    /// Address and port to listen on, over WebSocket. The connection is not encrypted: use a
    /// trusted network, or an SSH tunnel to a server on 127.0.0.1
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:3000")]
    listen: SocketAddr,
    /// Serve over Iroh instead, which is encrypted. FILE has the server's secret key and is created
    /// if it is missing. Clients find the server by its id, through Iroh's public relays
    #[arg(long, value_name = "FILE", conflicts_with = "listen")]
    iroh: Option<PathBuf>,
    /// UDP port for Iroh's clients that know this machine's address, without relays
    #[arg(long, value_name = "PORT", requires = "iroh")]
    port: Option<u16>,
    /// The secret that clients have in the environment variable E2MC_TOKEN [default: that variable
    /// here, which other users of this machine cannot read]
    #[arg(long, value_name = "SECRET")]
    token: Option<String>,
}

pub(crate) fn run(arguments: Arguments) -> Result<()> {
    let Arguments {
        device,
        listen,
        iroh,
        port,
        token,
    } = arguments;
    let listen = match iroh {
        Some(key) => Listen::Iroh { key, port },
        None => Listen::WebSocket(listen),
    };
    let token = token.or_else(|| std::env::var(TOKEN_VARIABLE).ok());
    serve(&device, &listen, &token.unwrap_or_default(), |name| {
        // A closed standard output is no reason to stop.
        let mut output = std::io::stdout();
        let line = writeln!(output, "serving {device}: --device {name} on a client");
        let _ = line.and_then(|()| output.flush());
    })
}
