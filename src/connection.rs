//! A client's connection. A reply that is begun has to be taken as a whole within a time, however the client spreads that out: hyper waits
//! for as long as the client likes.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep};

/// Bytes of a reply that the kernel takes before the client's side has room for them. The rest stays here, where it is counted. Without
/// this it may take megabytes, and keeps them after the connection was closed.
#[cfg(target_os = "linux")]
const UNSENT: u32 = 128 << 10;

/// The connection.
pub struct Connection {
    stream: TcpStream,
    /// For a reply.
    limit: Duration,
    /// When the reply that is on its way has to be taken; none while the client keeps up.
    end: Option<Pin<Box<Sleep>>>,
}

impl Connection {
    /// With a client that has so much time for a reply.
    pub fn new(stream: TcpStream, limit: Duration) -> Self {
        // Replies are small and whole: waiting for more to send only adds delay.
        let _ = stream.set_nodelay(true);
        #[cfg(target_os = "linux")]
        let _ = socket2::SockRef::from(&stream).set_tcp_notsent_lowat(UNSENT);
        Self { stream, limit, end: None }
    }

    /// What became of a write, unless the time is up.
    fn in_time(&mut self, context: &mut Context<'_>, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if written.is_pending() {
            let limit = self.limit;
            ready!(self.end.get_or_insert_with(|| Box::pin(sleep(limit))).as_mut().poll(context));
            // What the kernel still has for this client goes too.
            let _ = self.stream.set_zero_linger();
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        written
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.in_time(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, parts);
        self.in_time(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    /// Called when everything is written: the client has kept up.
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.end = None;
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(1);
    /// More than the kernel takes.
    const LARGE: usize = 32 << 20;

    async fn connected() -> (Connection, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        (Connection::new(listener.accept().await.unwrap().0, LIMIT), client)
    }

    async fn send(connection: &mut Connection, bytes: usize) -> io::Result<()> {
        connection.write_all(&vec![7; bytes]).await?;
        connection.flush().await
    }

    #[tokio::test]
    async fn a_client_that_takes_a_byte_now_and_then_is_cut_off() {
        let (mut connection, mut client) = connected().await;
        let begun = Instant::now();
        let dripping = async {
            loop {
                client.read_u8().await.unwrap();
                sleep(LIMIT / 10).await;
            }
        };
        let sent = tokio::select! {
            sent = send(&mut connection, LARGE) => sent,
            () = dripping => unreachable!("it never ends"),
        };
        assert_eq!(sent.unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert!((LIMIT..10 * LIMIT).contains(&begun.elapsed()), "{:?}", begun.elapsed());
        drop(connection);
        let end = client.read_to_end(&mut Vec::new()).await;
        assert_eq!(end.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    }

    #[tokio::test]
    async fn a_client_that_keeps_up_may_be_sent_as_much_as_it_likes() {
        let (mut connection, mut client) = connected().await;
        let reading = tokio::spawn(async move { tokio::io::copy(&mut client, &mut tokio::io::sink()).await.unwrap() });
        let begun = Instant::now();
        let mut sent = 0;
        while begun.elapsed() < 2 * LIMIT {
            send(&mut connection, 1 << 20).await.unwrap();
            sent += 1 << 20;
        }
        drop(connection);
        assert_eq!(reading.await.unwrap(), sent);
    }
}
