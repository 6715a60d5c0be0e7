// SPDX-License-Identifier: MIT

use std::collections::HashSet;
use std::error::Error;
use std::time::{Duration, SystemTime};

use tokio::time::{sleep, timeout};
use wtransport::endpoint::endpoint_side::Client;
use wtransport::error::{
    ConnectingError, ConnectionError, StreamReadError, StreamWriteError,
};
use wtransport::{ClientConfig, Connection, Endpoint, RecvStream};

use crate::codes::{from_h3, to_h3};

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

/// More than one flow-control window.
fn big() -> Vec<u8> {
    (0..204_800u32).map(|i| i as u8).collect()
}

struct Peer<'a> {
    base: &'a str,
    endpoint: Endpoint<Client>,
}

impl Peer<'_> {
    async fn session(&self, handler: &str) -> Result<Connection, ConnectingError> {
        self.endpoint.connect(format!("{}/{handler}", self.base)).await
    }

    /// Wait until what the server wrote down under `token` has all these `texts`.
    async fn noted(&self, token: &str, texts: &[&str]) -> Outcome {
        let mut seen = String::new();
        for _ in 0..100 {
            let session = self.session(&format!("query?token={token}")).await?;
            let note = read_all(&mut session.accept_uni().await?).await?;
            seen += &String::from_utf8(note)?.replace([' ', '\n'], "");
            if texts.iter().all(|text| seen.contains(text)) {
                return Ok(());
            }
            sleep(Duration::from_millis(50)).await;
        }
        Err(format!("the server did not note {texts:?}: {seen}").into())
    }
}

async fn read_all(stream: &mut RecvStream) -> Result<Vec<u8>, StreamReadError> {
    let mut all = Vec::new();
    let mut some = [0; 4096];
    while let Some(size) = stream.read(&mut some).await? {
        all.extend_from_slice(&some[..size]);
    }
    Ok(all)
}

fn new_token() -> String {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    format!("{}-{}", std::process::id(), now.expect("after 1970").as_nanos())
}

fn expect<T: PartialEq + std::fmt::Debug>(what: &str, got: T, want: T) -> Outcome {
    if got == want {
        return Ok(());
    }
    Err(format!("{what}: got {got:?}, not {want:?}").into())
}

async fn datagrams(peer: &Peer<'_>) -> Outcome {
    let session = peer.session("echo").await?;
    let mut missing: HashSet<Vec<u8>> =
        (0..10u8).map(|i| vec![i; usize::from(i).max(1) * 100]).collect();
    while !missing.is_empty() {
        for data in &missing {
            session.send_datagram(data)?;
        }
        while let Ok(data) =
            timeout(Duration::from_millis(200), session.receive_datagram()).await
        {
            missing.remove(&data?.payload()[..]);
            if missing.is_empty() {
                break;
            }
        }
    }
    Ok(())
}

async fn bidi(peer: &Peer<'_>) -> Outcome {
    let session = peer.session("echo").await?;
    let (mut out, mut back) = session.open_bi().await?.await?;
    let sent = big();
    let write = async {
        out.write_all(&sent).await?;
        out.finish().await
    };
    let (written, came) = tokio::join!(write, read_all(&mut back));
    written?;
    expect("the echo is the same", came? == sent, true)
}

async fn uni(peer: &Peer<'_>) -> Outcome {
    let session = peer.session("echo").await?;
    let mut out = session.open_uni().await?.await?;
    let sent = big();
    let write = async {
        out.write_all(&sent).await?;
        out.finish().await?;
        Outcome::Ok(())
    };
    let read = async { Outcome::Ok(read_all(&mut session.accept_uni().await?).await?) };
    let (written, came) = tokio::join!(write, read);
    written?;
    expect("the echo is the same", came? == sent, true)
}

async fn many(peer: &Peer<'_>, kind: &str) -> Outcome {
    let session = peer
        .session(&format!("server-create-multiple-streams?count=5&type={kind}"))
        .await?;
    let mut texts = Vec::new();
    for _ in 0..5 {
        let mut stream = match kind {
            "unidi" => session.accept_uni().await?,
            _ => session.accept_bi().await?.1,
        };
        texts.push(String::from_utf8(read_all(&mut stream).await?)?);
    }
    texts.sort();
    expect("what came", texts, (0..5).map(|i| format!("stream{i}")).collect())
}

async fn reset(peer: &Peer<'_>) -> Outcome {
    for code in [7, 0, u32::MAX] {
        let token = new_token();
        let session = peer.session(&format!("client-close?token={token}")).await?;
        let mut stream = session.open_uni().await?.await?;
        stream.write_all(b"never finished").await?;
        sleep(Duration::from_millis(100)).await; // lest the reset overtakes the header
        stream.reset(to_h3(code))?;
        peer.noted(&token, &["\"source\":\"reset\"", &format!("\"code\":{code}")]).await?;
    }
    Ok(())
}

async fn stop(peer: &Peer<'_>) -> Outcome {
    let token = new_token();
    let session = peer.session(&format!("client-close?token={token}")).await?;
    let (mut out, back) = session.open_bi().await?.await?;
    out.write_all(b"x").await?;
    back.stop(to_h3(9));
    peer.noted(&token, &["\"stream-stop-info\":{\"code\":9}"]).await
}

async fn reset_from_server(peer: &Peer<'_>) -> Outcome {
    let session = peer.session("abort-stream-from-server?wt=29").await?;
    let (mut out, mut back) = session.open_bi().await?.await?;
    out.write_all(b"x").await?;
    match read_all(&mut back).await {
        Err(StreamReadError::Reset(code)) => expect("the code", from_h3(code), Some(29)),
        other => Err(format!("the stream ended with {other:?}").into()),
    }
}

async fn stop_from_server(peer: &Peer<'_>) -> Outcome {
    let session = peer.session("abort-stream-from-server?wt=30").await?;
    let mut out = session.open_uni().await?.await?;
    out.write_all(b"x").await?;
    match out.stopped().await {
        StreamWriteError::Stopped(code) => expect("the code", from_h3(code), Some(30)),
        other => Err(format!("the stream ended with {other:?}").into()),
    }
}

async fn close_from_server(peer: &Peer<'_>) -> Outcome {
    let session = peer.session("server-close?code=4294967295&reason=enough").await?;
    match session.accept_uni().await {
        Err(ConnectionError::ApplicationClosed(why)) => {
            expect("the code", why.code().into_inner(), u64::from(u32::MAX))?;
            expect("the reason", why.reason(), &b"enough"[..])
        }
        other => Err(format!("the session ended with {other:?}").into()),
    }
}

async fn refused(peer: &Peer<'_>) -> Outcome {
    match peer.session("there-is-nothing-here").await {
        Err(ConnectingError::SessionRejected) => Ok(()),
        Err(error) => Err(error.into()),
        Ok(_) => Err("it was accepted".into()),
    }
}

/// What wtransport has no call for, and why that is.
fn missing(case: &str) -> Option<&'static str> {
    match case {
        "close" => {
            Some("its close() ends the QUIC connection; it never sends a CLOSE capsule")
        }
        "subprotocol" => Some("it has no call for subprotocols"),
        _ => None,
    }
}

async fn run_case(base: &str, case: &str) -> Outcome {
    let config = ClientConfig::builder()
        .with_bind_default()
        .with_no_cert_validation() // who the server is, is not what is tested
        .build();
    let peer = Peer { base, endpoint: Endpoint::client(config)? };
    match case {
        "session" => peer.session("echo").await.map(|_| ()).map_err(Into::into),
        "datagrams" => datagrams(&peer).await,
        "bidi" => bidi(&peer).await,
        "uni" => uni(&peer).await,
        "bidi-from-server" => many(&peer, "bidi").await,
        "uni-from-server" => many(&peer, "unidi").await,
        "reset" => reset(&peer).await,
        "stop" => stop(&peer).await,
        "reset-from-server" => reset_from_server(&peer).await,
        "stop-from-server" => stop_from_server(&peer).await,
        "close-from-server" => close_from_server(&peer).await,
        "refused" => refused(&peer).await,
        _ => Err("there is no such case".into()),
    }
}

pub async fn run(base: &str, cases: &[&str]) {
    for case in cases {
        if let Some(why) = missing(case) {
            println!("{{\"case\":\"{case}\",\"skip\":\"{why}\"}}");
            continue;
        }
        let outcome = timeout(Duration::from_secs(15), run_case(base, case)).await;
        match outcome.unwrap_or_else(|_| Err("it did not happen in time".into())) {
            Ok(()) => println!("{{\"case\":\"{case}\",\"ok\":true}}"),
            Err(error) => {
                let why = error.to_string().replace(['"', '\\'], "'");
                println!("{{\"case\":\"{case}\",\"ok\":false,\"why\":\"{why}\"}}");
            }
        }
    }
}
