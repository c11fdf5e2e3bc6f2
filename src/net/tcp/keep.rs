//! Connections that are handed from a hub that ends to one that begins.

use super::hub::Hub;
use super::table::{Connection, Stage};
use super::thread::TcpRest;
use crate::net::counters::Count;
use crate::net::given::{Held, TcpConnection};
use ringworld_components::edge::{ConnId, Flow, Target, Transport};
use tokio::net::TcpStream;

impl Hub {
    /// Stops all connections where they are, and returns those that are open. Those that were still being opened are
    /// given up: what waited for them is returned.
    pub async fn keep(&mut self) -> TcpRest {
        self.freeze.send_replace(true);
        let mut rest = TcpRest::default();
        for (conn, Connection { remote, stage, .. }) in self.table.take() {
            self.inlet.counters.tcp_connections.subtract(1);
            match stage {
                Stage::Opening(waiting, _, task) => {
                    task.abort();
                    rest.unsent.extend(waiting.into_iter().map(|outgoing| (remote, outgoing)));
                }
                Stage::Open(_, task) => match task.await {
                    Ok(Some(connection)) => rest.connections.push(connection),
                    // It came to its end by itself.
                    Ok(None) | Err(_) => self.tell_closed(conn),
                },
            }
        }
        rest
    }

    /// Goes on with what another hub has kept. Where there is no room for all, those are closed that we can open again.
    pub async fn go_on(&mut self, rest: TcpRest) {
        let TcpRest { mut connections, unsent } = rest;
        connections.sort_by_key(|connection| (connection.held.dialled, connection.flow.conn));
        let room = self.limits.connections_max.min(connections.len());
        connections.split_off(room).into_iter().for_each(|it| self.leave_behind(it.flow, it.held));
        // The youngest last, as they were opened.
        connections.sort_by_key(|connection| connection.flow.conn);
        connections.into_iter().for_each(|connection| self.take_over(connection));
        for (remote, outgoing) in unsent {
            self.send(Target { transport: Transport::Tcp, remote, conn: ConnId::NONE }, outgoing).await;
        }
    }

    fn take_over(&mut self, connection: TcpConnection) {
        let TcpConnection { flow, socket, held } = connection;
        match TcpStream::from_std(socket.into()) {
            Ok(stream) => {
                self.inlet.counters.tcp_taken_over.one();
                self.start(flow, stream, held);
            }
            Err(_) => self.leave_behind(flow, held),
        }
    }

    fn leave_behind(&self, flow: Flow, held: Held) {
        self.inlet.counters.tcp_left_behind.one();
        held.unsent.into_iter().for_each(|unsent| self.inlet.not_sent(unsent.transaction));
        self.tell_closed(flow.conn);
    }
}
