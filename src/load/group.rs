//! Callers that belong together: a room, or one caller alone.

use super::hearing::{Difference, Expected, Recorder, Sent, compare};
use super::plan::{Hears, Plan};
use super::report::{HeardCount, Report, WRONG_SHOWN};
use super::tone::{amplitude_of, frequency_of};

#[derive(Clone, Debug)]
pub(crate) struct Group {
    /// Counts all groups of the plan; chooses the tones.
    pub number: usize,
    /// User part of the request URI.
    pub user: String,
    pub hears: Hears,
    pub media: bool,
    pub size: usize,
    /// Members that are neither answered nor failed yet.
    pub pending: usize,
    /// The first member among the worker's calls.
    pub first: usize,
}

impl Group {
    /// All groups of a plan, in order.
    pub fn of_plan(plan: &Plan) -> Vec<Group> {
        let mut groups = Vec::new();
        for service in &plan.services {
            for n in 0..service.groups {
                groups.push(Group {
                    number: groups.len(),
                    user: service.user.replace("{}", &n.to_string()),
                    hears: service.hears,
                    media: service.media,
                    size: service.members,
                    pending: service.members,
                    first: 0,
                });
            }
        }
        groups
    }

    /// What a member sends.
    pub fn sent_by(&self, member: usize) -> Sent {
        let silent = matches!(self.hears, Hears::Tone(_));
        let amplitude = if silent { 0 } else { amplitude_of(self.size) };
        // A group that is too large for separable tones is refused unless no caller listens.
        Sent { hz: frequency_of(self.number, member % self.size.max(1), self.size).unwrap_or(401), amplitude }
    }

    /// What a member should hear, given the members that are there.
    fn expected(&self, member: usize, present: &[usize]) -> (Vec<Sent>, Option<Sent>) {
        let own = self.sent_by(member);
        match self.hears {
            Hears::Itself => (vec![own], None),
            Hears::Others => {
                let others = present.iter().filter(|&&other| other != member);
                (others.map(|&other| self.sent_by(other)).collect(), Some(own))
            }
            // The level of the switch's own tone is its choice: see `Hearing::judge`.
            Hears::Tone(hz) => (vec![Sent { hz, amplitude: 0 }], None),
            Hears::Silence | Hears::Anything => (Vec::new(), None),
        }
    }

    fn count<'r>(&self, report: &'r mut Report) -> &'r mut HeardCount {
        match self.hears {
            Hears::Itself => &mut report.echo,
            Hears::Others => &mut report.rooms,
            _ => &mut report.other,
        }
    }

    /// Counts a caller that was never listened to.
    pub fn count_unheard(&self, member: usize, why: &str, report: &mut Report) {
        if self.media && self.hears != Hears::Anything {
            self.count(report).expected += 1;
            note(report, format!("{} #{member}: {why}", self.user));
        }
    }
}

fn note(report: &mut Report, wrong: String) {
    if report.heard_wrong.len() < WRONG_SHOWN {
        report.heard_wrong.push(wrong);
    }
}

/// What one caller heard, to be judged when there is time.
#[derive(Debug)]
pub(crate) struct Hearing {
    pub group: usize,
    pub member: usize,
    pub present: std::sync::Arc<[usize]>,
    pub recorder: Recorder,
}

impl Hearing {
    /// Compares it with what it should be and counts the result.
    pub fn judge(self, group: &Group, report: &mut Report) {
        let (tones, absent) = group.expected(self.member, &self.present);
        let difference = match group.hears {
            Hears::Tone(hz) => self.recorder.differs_from_tone(hz),
            _ => compare(&self.recorder, Expected { tones: &tones, absent }),
        };
        let count = group.count(report);
        count.expected += 1;
        if difference.is_none() {
            count.exact += 1;
        } else {
            let words = describe(difference, tones.len());
            note(report, format!("{} #{}: {words}", group.user, self.member));
        }
    }
}

fn describe(difference: Difference, expected: usize) -> String {
    let Difference { too_short, missing, heard_itself, foreign_percent } = difference;
    if too_short {
        return "heard less than a second".into();
    }
    let mut parts = Vec::new();
    if missing > 0 {
        parts.push(format!("{missing} of {expected} expected tones missing or at the wrong level"));
    }
    if heard_itself {
        parts.push("heard itself".into());
    }
    if foreign_percent > 20 {
        parts.push(format!("unexplained sound: {foreign_percent} % of what was expected"));
    }
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::Service;
    use crate::ua::g711::G711;
    use crate::ua::tone::{LOOP_FRAMES, Tones};

    #[test]
    fn a_plan_becomes_groups() {
        let plan = Plan::new("127.0.0.1:5060".parse().unwrap()).with(Service::echo(2)).with(Service::rooms("a", 2, 10));
        let groups = Group::of_plan(&plan);
        let users: Vec<_> = groups.iter().map(|group| group.user.as_str()).collect();
        assert_eq!(users, ["echo", "echo", "conf-a-0", "conf-a-1"]);
        assert_eq!(groups[3].number, 3);
        assert_ne!(groups[0].sent_by(0), groups[1].sent_by(0));
    }

    #[test]
    fn a_hearing_is_judged() {
        let plan = Plan::new("127.0.0.1:5060".parse().unwrap()).with(Service::rooms("a", 1, 3));
        let group = &Group::of_plan(&plan)[0];
        let mut recorder = Recorder::new(G711::Pcmu);
        let sent = group.sent_by(1);
        let tone = Tones::new().tone(sent.hz, sent.amplitude, G711::Pcmu);
        for frame in 0..LOOP_FRAMES {
            recorder.place(frame as u32 * 160, tone.frame(frame));
        }
        let mut report = Report::default();
        // Two are there: right for the caller that sends nothing. Three are there: one is missing.
        for (member, present) in [(0, vec![0, 1]), (0, vec![0, 1, 2]), (1, vec![0, 1])] {
            let hearing = Hearing { group: 0, member, present: present.into(), recorder: recorder.clone() };
            hearing.judge(group, &mut report);
        }
        assert_eq!(report.rooms, HeardCount { expected: 3, exact: 1 });
        assert_eq!(report.heard_wrong.len(), 2);
        assert!(report.heard_wrong[1].contains("heard itself"), "{:?}", report.heard_wrong);
    }
}
