//! Vector clocks: what an agent (a split of a warp, or a kind of copy) knows of the others. Sparse, as most agents never
//! exist. Each entry holds two times: what is known at all, and what is known to the asynchronous proxy (ISA 8.4) as well.

/// One thing that touches memory in an order of its own.
pub(crate) type Agent = u32;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    agent: Agent,
    time: u32,
    /// Up to here a proxy fence stands between the agent's accesses and those of the asynchronous proxy.
    fenced: u32,
}

/// See the module. Sorted by agent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Clock(Vec<Entry>);

impl Clock {
    fn find(&self, agent: Agent) -> Result<usize, usize> {
        self.0.binary_search_by_key(&agent, |e| e.agent)
    }

    /// How much of an agent is known; 0 for nothing.
    pub(crate) fn time(&self, agent: Agent) -> u32 {
        self.find(agent).map_or(0, |at| self.0[at].time)
    }

    /// How much of an agent the asynchronous proxy may see.
    pub(crate) fn fenced(&self, agent: Agent) -> u32 {
        self.find(agent).map_or(0, |at| self.0[at].fenced)
    }

    /// Learns that `agent` has come to `time`.
    pub(crate) fn raise(&mut self, agent: Agent, time: u32) {
        match self.find(agent) {
            Ok(at) => self.0[at].time = self.0[at].time.max(time),
            Err(at) => self.0.insert(at, Entry { agent, time, fenced: 0 }),
        }
    }

    /// What happens next is later than what others have learnt so far.
    pub(crate) fn tick(&mut self, agent: Agent) {
        let next = self.time(agent) + 1;
        self.raise(agent, next);
    }

    /// Learns all that `other` knows.
    pub(crate) fn join(&mut self, other: &Clock) {
        let mut at = 0;
        for entry in &other.0 {
            while self.0.get(at).is_some_and(|e| e.agent < entry.agent) {
                at += 1;
            }
            match self.0.get_mut(at) {
                Some(own) if own.agent == entry.agent => {
                    own.time = own.time.max(entry.time);
                    own.fenced = own.fenced.max(entry.fenced);
                }
                _ => self.0.insert(at, *entry),
            }
        }
    }

    /// A proxy fence: all that is known may be seen by the asynchronous proxy.
    pub(crate) fn fence(&mut self) {
        self.0.iter_mut().for_each(|e| e.fenced = e.time);
    }
}

#[cfg(test)]
mod tests {
    use super::Clock;

    #[test]
    fn join_takes_the_later_time_of_each_agent() {
        let (mut a, mut b) = (Clock::default(), Clock::default());
        a.raise(3, 5);
        a.raise(9, 1);
        b.raise(3, 2);
        b.raise(4, 7);
        a.join(&b);
        assert_eq!([3, 4, 9, 10].map(|n| a.time(n)), [5, 7, 1, 0]);
    }

    #[test]
    fn fence_covers_what_is_known_and_nothing_later() {
        let mut a = Clock::default();
        a.raise(1, 4);
        a.fence();
        a.tick(1);
        assert_eq!((a.time(1), a.fenced(1)), (5, 4));
    }
}
