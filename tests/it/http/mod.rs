//! The HTTP face, asked the way a stranger, a sender and an operator ask it: the real
//! routers over the store in memory, sockets on loopback where sockets matter.

mod adopting;
mod alerting;
mod answers;
mod exposition;
mod face;
mod freezing;
mod pausing;
mod payloads;
mod probes;
mod reloading;
mod repeats;
mod scopes;
mod secrets;
mod sockets;
mod sources;
mod tls;
