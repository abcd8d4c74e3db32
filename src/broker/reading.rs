//! Long work for people who only read: checks and reports of guardrails.
//!
//! It has a place of its own, so that nobody who reads keeps those waiting who apply, approve and stop; and one person has one such job at a
//! time, so that nobody who reads keeps the other readers waiting for long. A job gives the place back between its parts.

use std::sync::{Mutex, PoisonError};

use super::desk::Desk;
use super::failure::Failure;
use crate::domain::people::actor::Person;
use crate::domain::reason;

/// The jobs of readers that run at a time.
const PLACES: usize = 1;

/// The place, and the people whose jobs are under way.
pub struct Reading {
    /// The place.
    pub(super) desk: Desk,
    under_way: Mutex<Vec<Person>>,
}

/// The turn of a person, until it is dropped.
pub(super) struct Turn<'r> {
    reading: &'r Reading,
    person: Person,
}

impl Default for Reading {
    fn default() -> Self {
        Self { desk: Desk::of(PLACES), under_way: Mutex::default() }
    }
}

impl Reading {
    /// Begins a job of `person`.
    ///
    /// # Errors
    /// Another one of theirs is under way (`records.busy`).
    pub(super) fn turn(&self, person: &Person) -> Result<Turn<'_>, Failure> {
        let mut under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        if under_way.iter().any(|known| known.is(person)) {
            return Err(Failure::Refused(&reason::RECORDS_BUSY));
        }
        under_way.push(person.clone());
        Ok(Turn { reading: self, person: person.clone() })
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut under_way = self.reading.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        under_way.retain(|known| !known.is(&self.person));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One person has one job at a time, and leaves the others theirs.
    #[test]
    fn a_person_has_one_job_at_a_time() {
        let reading = Reading::default();
        let person = |id: &str| Person { iss: "https://idp.example".parse().expect("an issuer"), id: id.into(), name: None };
        let (alan, sven) = (person("alan"), person("sven"));
        let first = reading.turn(&alan).expect("his turn");
        assert!(reading.turn(&alan).is_err() && reading.turn(&sven).is_ok());
        drop(first);
        assert!(reading.turn(&alan).is_ok());
        assert!(reading.under_way.lock().expect("the lock").is_empty());
    }

    /// A reader who holds the place keeps nobody from the desk of those who change something.
    #[tokio::test]
    async fn who_reads_takes_no_place_of_who_changes() {
        let (reading, desk) = (Reading::default(), Desk::default());
        let (release, held) = std::sync::mpsc::channel::<()>();
        let long = reading.desk.work(move || held.recv().is_ok());
        let meanwhile = async {
            let done = [desk.work(|| 1).await, desk.work(|| 2).await];
            release.send(()).expect("it waits");
            done.into_iter().all(|one| one.is_ok())
        };
        assert!(matches!(tokio::join!(long, meanwhile), (Ok(true), true)));
    }
}
