use std::io::Write;
use std::net::SocketAddr;

use clap::Args;
use e2mc::{Result, TOKEN_VARIABLE, serve};

#[derive(Args)]
pub(crate) struct Arguments {
    /// Devices of this machine: flex (the CPU), cuda:0, or several, as cuda:0,cuda:1
    #[arg(long, value_name = "LIST", default_value = "flex")]
    device: String,
    /// Address and port to listen on. The connection is not encrypted: use a trusted network, or an
    /// SSH tunnel to a server on 127.0.0.1
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:3000")]
    listen: SocketAddr,
    /// The secret that clients have in the environment variable E2MC_TOKEN [default: that variable
    /// here, which other users of this machine cannot read]
    #[arg(long, value_name = "SECRET")]
    token: Option<String>,
}

pub(crate) fn run(arguments: Arguments) -> Result<()> {
    let Arguments {
        device,
        listen,
        token,
    } = arguments;
    let token = token.or_else(|| std::env::var(TOKEN_VARIABLE).ok());
    serve(&device, listen, &token.unwrap_or_default(), |address| {
        // A closed standard output is no reason to stop.
        let mut output = std::io::stdout();
        let line = writeln!(
            output,
            "serving {device}: --device remote:ws://{address} on a client"
        );
        let _ = line.and_then(|()| output.flush());
    })
}
