//! Devices of other machines, by Burn's remote backend over WebSocket.

use std::io;
use std::net::{SocketAddr, TcpListener};

use burn::remote::RemoteHost;
use burn::server::{RemoteServer, TokenAuthorizer, WebSocketTransport};
use burn::tensor::Device;

use crate::{Error, Result, parse_devices};

/// The environment variable with the token that servers expect. A token in the plan would be
/// written to the run folder.
pub const TOKEN_VARIABLE: &str = "E2MC_TOKEN";

/// Connects the device `remote:ws://host:3000`, or the server's second device,
/// `remote:ws://host:3000#1`.
///
/// # Errors
/// If `name` has another form, the server does not answer, refuses the token, or has no such
/// device. Connecting to a server that does not answer takes a quarter of a minute.
pub(crate) fn connect(name: &str) -> Result<Device> {
    let error = |expected: String| Error::invalid("device", name, expected);
    let form = || error("remote:ws://HOST:PORT, or remote:ws://HOST:PORT#1 for device 1".into());
    let url = name.strip_prefix("remote:").ok_or_else(form)?;
    let (url, index) = match url.split_once('#') {
        Some((url, index)) => (url, index.parse::<usize>().map_err(|_| form())?),
        None => (url, 0),
    };
    let address = url.strip_prefix("ws://").ok_or_else(form)?;
    let port = address
        .rsplit_once(':')
        .map(|(_, port)| port.parse::<u16>());
    if !matches!(port, Some(Ok(_))) {
        return Err(form());
    }
    let token = std::env::var(TOKEN_VARIABLE).unwrap_or_default();
    let host = RemoteHost::websocket(url).with_credential(token.as_str());
    let options = Device::remote_options(&host).device_index(index);
    options.init().map_err(|cause| {
        error(format!(
            "a device of a server that runs `e2mc serve` with the token in {TOKEN_VARIABLE}: \
             {cause}"
        ))
    })
}

/// Lets other machines use devices of this one, until the program is interrupted or terminated.
/// `devices` is a list as for [`parse_devices`], of this machine. `ready` is called with the bound
/// address. The connection is not encrypted.
///
/// # Errors
/// If a device cannot be used, the token is empty, or the address cannot be bound.
pub fn serve(
    devices: &str,
    address: SocketAddr,
    token: &str,
    ready: impl FnOnce(SocketAddr),
) -> Result<()> {
    if devices.contains("remote:") {
        let expected = "devices of this machine";
        return Err(Error::invalid("device", devices, expected));
    }
    let devices = parse_devices(devices)?;
    let authorizer = TokenAuthorizer::new(token)
        .map_err(|_| Error::invalid("token", "empty", "the secret that clients know"))?;
    let not_bound = |error: io::Error| {
        Error::invalid("listen", address, format!("an address to bind: {error}"))
    };
    let listener = TcpListener::bind(address).map_err(not_bound)?;
    ready(listener.local_addr().map_err(not_bound)?);
    RemoteServer::new(devices)
        .with_authorizer(authorizer)
        .serve(WebSocketTransport::from_listener(listener))
        .map_err(|error| {
            Error::invalid(
                "listen",
                address,
                format!("an address to serve at: {error}"),
            )
        })
}
