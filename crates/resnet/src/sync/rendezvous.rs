//! Where threads exchange values.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Exchanges values between a fixed number of threads, in rounds: each thread brings one value and
/// gets those of all. Threads may be in different rounds.
#[derive(Debug)]
pub(super) struct Rendezvous<T> {
    members: usize,
    state: Mutex<State<T>>,
    changed: Condvar,
}

#[derive(Debug)]
struct State<T> {
    rounds: BTreeMap<u64, Round<T>>,
    left: bool,
}

#[derive(Debug)]
struct Round<T> {
    values: Vec<Option<T>>,
    taken: usize,
}

impl<T: Clone> Rendezvous<T> {
    /// For so many threads.
    pub fn new(members: usize) -> Self {
        Self {
            members,
            state: Mutex::new(State {
                rounds: BTreeMap::new(),
                left: false,
            }),
            changed: Condvar::new(),
        }
    }

    /// The values of all threads in this round, by place. Waits until all have come; none if one of
    /// them has left and will not come.
    pub fn exchange(&self, place: usize, round: u64, value: T) -> Option<Vec<T>> {
        let mut state = self.lock();
        let found = state.rounds.entry(round).or_insert_with(|| Round {
            values: vec![None; self.members],
            taken: 0,
        });
        found.values[place] = Some(value);
        self.changed.notify_all();
        loop {
            let found = state.rounds.get_mut(&round);
            let found = found.expect("a round stays until all have taken its values");
            if found.values.iter().all(Option::is_some) {
                let values = found.values.iter().flatten().cloned().collect();
                found.taken += 1;
                if found.taken == self.members {
                    state.rounds.remove(&round);
                }
                return Some(values);
            }
            if state.left {
                return None;
            }
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Says that a thread comes to no later round.
    pub fn leave(&self) {
        self.lock().left = true;
        self.changed.notify_all();
    }

    /// A panic while it was locked left nothing half done: values are inserted whole.
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_thread_gets_all_values_of_its_round_in_order() {
        let meeting = &Rendezvous::new(3);
        std::thread::scope(|scope| {
            for place in 0..3 {
                scope.spawn(move || {
                    for round in 0..200 {
                        let all = meeting.exchange(place, round, (round, place)).unwrap();
                        assert_eq!(all, [(round, 0), (round, 1), (round, 2)]);
                    }
                    meeting.leave();
                });
            }
        });
        assert!(meeting.lock().rounds.is_empty());
    }

    #[test]
    fn nobody_waits_for_a_thread_that_left() {
        let meeting = &Rendezvous::new(2);
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| meeting.exchange(0, 0, "a"));
            meeting.leave();
            assert_eq!(waiting.join().unwrap(), None);
        });
        // What all brought before can still be taken.
        let meeting = &Rendezvous::new(2);
        std::thread::scope(|scope| {
            let first = scope.spawn(|| meeting.exchange(0, 0, "a"));
            meeting.exchange(1, 0, "b");
            meeting.leave();
            assert_eq!(first.join().unwrap(), Some(vec!["a", "b"]));
        });
    }
}
