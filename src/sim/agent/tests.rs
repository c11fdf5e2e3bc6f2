use super::*;

const SWITCH: &str = "10.0.0.1:5060";

fn address(agent: u32, port: u16) -> SocketAddr {
    SocketAddr::from(([10, 100, 0, agent as u8], port))
}

/// Two agents that call each other instead of a switch.
#[test]
fn an_agent_calls_and_another_one_answers() {
    let mut agents: Vec<Agent> =
        (0..2).map(|number| Agent::new((5, number, 2), address, SWITCH.parse().unwrap(), &[])).collect();
    let (mut now, mut ups) = (0, 0);
    while now < 120 * SECOND {
        now += 5 * MS;
        for caller in 0..2 {
            let mut out = Out::default();
            if agents[caller].due_at() <= now {
                agents[caller].wake(now, &mut out);
            }
            // Each message goes to the other agent, and the answers come back, until neither has anything to send.
            let (mut speaker, mut messages) = (caller, out.sip);
            while !messages.is_empty() {
                let mut replies = Out::default();
                for (_, bytes) in messages {
                    agents[1 - speaker].on_sip(now, address(speaker as u32, 5060), &bytes, &mut replies);
                }
                speaker = 1 - speaker;
                messages = replies.sip;
            }
        }
        let is_up =
            |agent: &Agent| agent.call().is_some_and(|call| call.ua.state == State::Confirmed && call.ua.is_calm());
        if agents.iter().all(is_up) {
            let calls: Vec<&Call> = agents.iter().filter_map(Agent::call).collect();
            let [caller, callee] = [&calls[0].ua, &calls[1].ua];
            assert_eq!(calls[0].ua.remote_tag.as_deref(), Some(calls[1].tag()));
            assert_eq!((caller.we_hold, caller.they_hold), (callee.they_hold, callee.we_hold));
            ups += 1;
        }
    }
    assert!(ups > 100, "{ups}");
}
