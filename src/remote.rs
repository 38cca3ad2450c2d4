//! Devices of other machines, by Burn's remote backend: over WebSocket, or over Iroh, which is
//! encrypted.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;

use burn::remote::{EndpointId, IrohHost, IrohRelays, RemoteHost};
use burn::server::{
    IrohIdentity, IrohTransport, RemoteServer, TokenAuthorizer, Transport, WebSocketTransport,
};
use burn::tensor::Device;

use crate::{Error, Result, parse_devices};

/// The environment variable with the token that servers expect. A token in the plan would be
/// written to the run folder.
pub const TOKEN_VARIABLE: &str = "E2MC_TOKEN";

/// How a server can be reached.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Listen {
    /// At this address, over WebSocket. The connection is not encrypted. With port 0, the system
    /// chooses one.
    WebSocket(SocketAddr),
    /// Over Iroh: encrypted, and the server is authenticated by its id.
    Iroh {
        /// File of the server's secret key, which is created if it is missing.
        key: PathBuf,
        /// UDP port for clients that know the server's address. None: clients find the server by
        /// its id, through the public relays of Iroh's authors.
        port: Option<u16>,
    },
}

/// Connects the device `remote:ws://host:3000` (WebSocket), `remote:ID` (Iroh, through public
/// relays) or `remote:ID@192.168.0.7:3000` (Iroh, directly). `#1` at the end is the server's second
/// device.
///
/// # Errors
/// If `name` has another form, the server does not answer, refuses the token, or has no such
/// device. Connecting to a server that does not answer takes a quarter of a minute.
pub(crate) fn connect(name: &str) -> Result<Device> {
    let error = |expected: String| Error::invalid("device", name, expected);
    let form = || {
        error(
            "remote:ws://HOST:PORT, remote:ID or remote:ID@ADDRESS:PORT, with #1 at the end for \
             device 1"
                .into(),
        )
    };
    let server = name.strip_prefix("remote:").ok_or_else(form)?;
    let (server, index) = match server.split_once('#') {
        Some((server, index)) => (server, index.parse::<usize>().map_err(|_| form())?),
        None => (server, 0),
    };
    let host = match server.strip_prefix("ws://") {
        Some(address) => {
            let port = address
                .rsplit_once(':')
                .map(|(_, port)| port.parse::<u16>());
            if !matches!(port, Some(Ok(_))) {
                return Err(form());
            }
            RemoteHost::websocket(server)
        }
        None => RemoteHost::iroh(iroh_host(server).ok_or_else(form)?),
    };
    let token = std::env::var(TOKEN_VARIABLE).unwrap_or_default();
    let host = host.with_credential(token.as_str());
    let options = Device::remote_options(&host).device_index(index);
    options.init().map_err(|cause| {
        error(format!(
            "a device of a server that runs `e2mc serve` with the token in {TOKEN_VARIABLE}: \
             {cause}"
        ))
    })
}

/// The host of `ID` or `ID@ADDRESS:PORT`.
fn iroh_host(server: &str) -> Option<IrohHost> {
    let (id, address) = match server.split_once('@') {
        Some((id, address)) => (id, Some(address.parse::<SocketAddr>().ok()?)),
        None => (server, None),
    };
    let host = IrohHost::new(id.parse::<EndpointId>().ok()?);
    Some(match address {
        Some(address) => host.with_relays(IrohRelays::Disabled).with_address(address),
        None => host,
    })
}

/// Lets other machines use devices of this one, until the program is interrupted or terminated.
/// `devices` is a list as for [`parse_devices`], of this machine. `ready` is called with the name
/// of the first device on a client; a WebSocket server then accepts clients, an Iroh server does
/// soon after.
///
/// # Errors
/// If a device cannot be used, the token is empty, the key cannot be read or written, or the
/// address cannot be bound.
pub fn serve(devices: &str, listen: &Listen, token: &str, ready: impl FnOnce(&str)) -> Result<()> {
    if devices.contains("remote:") {
        let expected = "devices of this machine";
        return Err(Error::invalid("device", devices, expected));
    }
    let devices = parse_devices(devices)?;
    let authorizer = TokenAuthorizer::new(token)
        .map_err(|_| Error::invalid("token", "empty", "the secret that clients know"))?;
    let (transport, name) = transport(listen)?;
    ready(&name);
    RemoteServer::new(devices)
        .with_authorizer(authorizer)
        .serve(transport)
        .map_err(|error| {
            let (field, value) = match listen {
                Listen::WebSocket(address) => ("listen", address.to_string()),
                Listen::Iroh {
                    port: Some(port), ..
                } => ("port", port.to_string()),
                Listen::Iroh { key, .. } => ("iroh", key.display().to_string()),
            };
            Error::invalid(field, value, format!("something to serve at: {error}"))
        })
}

/// What a server accepts clients by, and the name of its first device on a client.
fn transport(listen: &Listen) -> Result<(Transport, String)> {
    match listen {
        Listen::WebSocket(address) => {
            let not_bound = |error: io::Error| {
                Error::invalid("listen", address, format!("an address to bind: {error}"))
            };
            let listener = TcpListener::bind(address).map_err(not_bound)?;
            let bound = listener.local_addr().map_err(not_bound)?;
            let transport = WebSocketTransport::from_listener(listener);
            Ok((transport.into(), format!("remote:ws://{bound}")))
        }
        Listen::Iroh { key, port } => {
            let identity = IrohIdentity::load_or_create(key).map_err(Error::read(key))?;
            let id = identity.id();
            let transport = IrohTransport::new(identity);
            Ok(match port {
                Some(port) => (
                    transport
                        .with_relays(IrohRelays::Disabled)
                        .with_port(*port)
                        .into(),
                    format!("remote:{id}@ADDRESS:{port}"),
                ),
                None => (transport.into(), format!("remote:{id}")),
            })
        }
    }
}
