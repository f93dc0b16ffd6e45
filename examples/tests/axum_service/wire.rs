//! HTTP over a connection of one's own.

use std::net::SocketAddr;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// One request over a connection of its own, as HTTP/1.0, whose answer ends with the connection.
pub(crate) async fn ask(address: SocketAddr, request: &str, body: &str) -> TcpStream {
    let mut connection = TcpStream::connect(address).await.unwrap();
    let headers = format!("content-type: application/json\r\ncontent-length: {}", body.len());
    connection.write_all(format!("{request} HTTP/1.0\r\n{headers}\r\n\r\n{body}").as_bytes()).await.unwrap();
    connection
}

/// The answer up to the given words, or up to its end.
pub(crate) async fn read_until(connection: &mut TcpStream, words: &str) -> String {
    let mut answer = Vec::new();
    while !String::from_utf8_lossy(&answer).contains(words) && connection.read_buf(&mut answer).await.unwrap() > 0 {}
    String::from_utf8(answer).unwrap()
}
