// SPDX-License-Identifier: MIT

use std::collections::HashMap;
use std::error::Error;
use std::sync::{Arc, Mutex};

use tokio::io::AsyncReadExt;
use wtransport::error::{ConnectionError, StreamReadError, StreamWriteError};
use wtransport::{
    Connection, Endpoint, Identity, RecvStream, SendStream, ServerConfig, VarInt,
};

use crate::codes::{from_h3, to_h3};

/// What client-close saw, by token and by name, until query takes it.
type Notes = Arc<Mutex<HashMap<String, HashMap<&'static str, String>>>>;

/// Who is in which room, by the number of the connection.
type Rooms = Arc<Mutex<HashMap<Vec<u8>, HashMap<usize, Arc<Connection>>>>>;

type Outcome<T = ()> = Result<T, Box<dyn Error + Send + Sync>>;

async fn copy(mut from: RecvStream, mut to: SendStream) -> Outcome {
    let mut some = [0; 4096];
    while let Some(size) = from.read(&mut some).await? {
        to.write_all(&some[..size]).await?;
    }
    to.finish().await?;
    Ok(())
}

async fn echo(session: Arc<Connection>) -> Result<(), ConnectionError> {
    loop {
        tokio::select! {
            stream = session.accept_bi() => {
                let (to, from) = stream?;
                tokio::spawn(copy(from, to));
            }
            stream = session.accept_uni() => {
                let from = stream?;
                let session = session.clone();
                tokio::spawn(async move {
                    copy(from, session.open_uni().await?.await?).await
                });
            }
            datagram = session.receive_datagram() => {
                let _ = session.send_datagram(datagram?.payload());
            }
        }
    }
}

/// Relay datagrams to the others in the room that the first one names, for the benchmarks.
async fn room(session: Arc<Connection>, rooms: Rooms) -> Result<(), ConnectionError> {
    let mut name = Vec::new();
    let ended = loop {
        let data = match session.receive_datagram().await {
            Ok(data) => data,
            Err(error) => break error,
        };
        let data = data.payload();
        if let Some(wanted) = data.strip_prefix(b"join ") {
            name = wanted.to_vec();
            let mut rooms = rooms.lock().expect("nothing panics with it");
            rooms.entry(name.clone()).or_default().insert(session.stable_id(), session.clone());
            let _ = session.send_datagram(b"joined");
            continue;
        }
        let rooms = rooms.lock().expect("nothing panics with it");
        for (id, other) in rooms.get(&name).into_iter().flatten() {
            if *id != session.stable_id() {
                let _ = other.send_datagram(&data);
            }
        }
    };
    let mut rooms = rooms.lock().expect("nothing panics with it");
    if let Some(members) = rooms.get_mut(&name) {
        members.remove(&session.stable_id());
    }
    Err(ended)
}

fn put(notes: &Notes, token: &str, name: &'static str, value: String) {
    let mut notes = notes.lock().expect("nothing panics with it");
    notes.entry(token.to_string()).or_default().insert(name, value);
}

/// Note how the peer's streams and its session end.
async fn watch(session: Arc<Connection>, notes: Notes, token: String) {
    let read = |mut stream: RecvStream| {
        let (notes, token) = (notes.clone(), token.clone());
        async move {
            let mut some = [0; 4096];
            loop {
                match stream.read(&mut some).await {
                    Ok(Some(_)) => continue,
                    Ok(None) => put(
                        &notes,
                        &token,
                        "stream-close-info",
                        "{\"source\":\"FIN\"}".into(),
                    ),
                    Err(StreamReadError::Reset(code)) => {
                        let code = from_h3(code).map_or("null".into(), |c| c.to_string());
                        let note = format!("{{\"source\":\"reset\",\"code\":{code}}}");
                        put(&notes, &token, "stream-close-info", note)
                    }
                    Err(_) => {}
                }
                return;
            }
        }
    };
    let ended = loop {
        tokio::select! {
            stream = session.accept_bi() => match stream {
                Ok((mut to, from)) => {
                    tokio::spawn(read(from));
                    let (notes, token) = (notes.clone(), token.clone());
                    tokio::spawn(async move {
                        if let StreamWriteError::Stopped(code) = to.stopped().await {
                            let code = from_h3(code).map_or("null".into(), |c| c.to_string());
                            put(&notes, &token, "stream-stop-info", format!("{{\"code\":{code}}}"));
                        }
                    });
                }
                Err(error) => break error,
            },
            stream = session.accept_uni() => match stream {
                Ok(from) => { tokio::spawn(read(from)); }
                Err(error) => break error,
            },
        }
    };
    let note = match ended {
        ConnectionError::ApplicationClosed(why) => format!(
            "{{\"abruptly\":false,\"close_info\":{{\"code\":{},\"reason\":\"{}\"}}}}",
            why.code(),
            String::from_utf8_lossy(why.reason()),
        ),
        _ => "{\"abruptly\":true,\"close_info\":null}".into(),
    };
    put(&notes, &token, "session-close-info", note);
}

async fn abort(session: Arc<Connection>, code: VarInt) -> Result<(), ConnectionError> {
    loop {
        tokio::select! {
            stream = session.accept_bi() => {
                let (mut to, from) = stream?;
                from.stop(code);
                let _ = to.reset(code);
            }
            stream = session.accept_uni() => stream?.stop(code),
        }
    }
}

async fn create(session: Arc<Connection>, kind: &str, count: u32) -> Outcome {
    for i in 0..count {
        let mut stream = match kind {
            "unidi" => session.open_uni().await?.await?,
            _ => session.open_bi().await?.await?.0,
        };
        stream.write_all(format!("stream{i}").as_bytes()).await?;
        stream.finish().await?;
    }
    Ok(())
}

async fn tell(session: Arc<Connection>, notes: Notes, token: &str) -> Outcome {
    let seen =
        notes.lock().expect("nothing panics with it").remove(token).unwrap_or_default();
    let fields: Vec<String> =
        seen.iter().map(|(name, v)| format!("\"{name}\":{v}")).collect();
    let mut stream = session.open_uni().await?.await?;
    stream.write_all(format!("{{{}}}", fields.join(",")).as_bytes()).await?;
    stream.finish().await?;
    Ok(())
}

async fn serve(
    incoming: wtransport::endpoint::IncomingSession,
    notes: Notes,
    rooms: Rooms,
) -> Outcome {
    let request = incoming.await?;
    let path = request.path().to_string();
    let (handler, query) = path.split_once('?').unwrap_or((&path, ""));
    let field = |name: &str| {
        let mut fields = query.split('&').filter_map(|f| f.split_once('='));
        fields.find(|(key, _)| *key == name).map_or(String::new(), |(_, v)| v.to_string())
    };
    let known = [
        "/echo",
        "/client-close",
        "/query",
        "/server-create-multiple-streams",
        "/abort-stream-from-server",
        "/subprotocol",
        "/room",
    ];
    if !known.contains(&handler) {
        request.not_found().await;
        return Ok(());
    }
    let session = Arc::new(match handler {
        "/subprotocol" => {
            request.accept_with_headers([("wt-protocol", "\"second.v2\"")]).await?
        }
        _ => request.accept().await?,
    });
    match handler {
        "/room" => room(session, rooms).await?,
        "/client-close" => watch(session, notes, field("token")).await,
        "/query" => {
            tell(session.clone(), notes, &field("token")).await?;
            session.closed().await;
        }
        "/server-create-multiple-streams" => {
            create(session.clone(), &field("type"), field("count").parse()?).await?;
            session.closed().await;
        }
        "/abort-stream-from-server" => abort(session, to_h3(field("wt").parse()?)).await?,
        _ => echo(session).await?,
    }
    Ok(())
}

pub async fn run(certificate: &str, key: &str) -> Outcome {
    let identity = Identity::load_pemfiles(certificate, key).await?;
    let config = ServerConfig::builder()
        .with_bind_address(([127, 0, 0, 1], 0).into())
        .with_identity(identity)
        .build();
    let endpoint = Endpoint::server(config)?;
    let notes = Notes::default();
    let rooms = Rooms::default();

    println!("listening {}", endpoint.local_addr()?.port());
    let mut end = tokio::io::stdin();
    let mut byte = [0];
    loop {
        tokio::select! {
            incoming = endpoint.accept() => {
                let (notes, rooms) = (notes.clone(), rooms.clone());
                tokio::spawn(async move {
                    if let Err(error) = serve(incoming, notes, rooms).await {
                        eprintln!("{error}");
                    }
                });
            }
            _ = end.read(&mut byte) => return Ok(()), // the runner's end is this server's
        }
    }
}
