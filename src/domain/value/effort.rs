//! Effort: how much work one request may cause, in counted steps.
//!
//! Steps and not time, so that the same records are judged in the same way on every machine. One step is about one comparison of two
//! short texts.

/// The steps that one request may take, and those that it took.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    most: u64,
    spent: u64,
}

/// The budget is used up; nothing was found out.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Exhausted {
    /// The budget.
    pub most: u64,
}

impl Exhausted {
    /// Names the budget that is used up, and the records that cost most of it.
    pub fn told(self, costs: &[(String, u64)]) -> String {
        let mut most: Vec<_> = costs.iter().collect();
        most.sort_by_key(|(_, steps)| std::cmp::Reverse(*steps));
        let most: Vec<_> = most.iter().take(3).map(|(name, steps)| format!("{name} ({steps} steps)")).collect();
        format!(
            "to compare bindings takes more than the {} steps that one request may; most of them took {}",
            self.most,
            most.join(", ")
        )
    }
}

impl Effort {
    /// What one request may cost. Two thousand integrations of one issuer take about a tenth of it; all of it takes well below a
    /// second. More, and the sender of one file decides how long everybody else waits.
    pub const OF_A_REQUEST: u64 = 5_000_000;

    /// A budget of this many steps.
    pub fn of(most: u64) -> Self {
        Self { most, spent: 0 }
    }

    /// An equal part of what one request may cost, for each of `parts` that are judged together: one that takes too much leaves the
    /// others theirs.
    pub fn share(parts: usize) -> Self {
        Self::of(Self::OF_A_REQUEST / u64::try_from(parts.max(1)).unwrap_or(u64::MAX))
    }

    /// Takes `steps` from the budget.
    ///
    /// # Errors
    /// There are not so many left.
    pub fn take(&mut self, steps: usize) -> Result<(), Exhausted> {
        self.spent = self.spent.saturating_add(u64::try_from(steps).unwrap_or(u64::MAX));
        if self.spent <= self.most { Ok(()) } else { Err(Exhausted { most: self.most }) }
    }

    /// The steps so far.
    pub fn spent(&self) -> u64 {
        self.spent
    }
}

impl Default for Effort {
    fn default() -> Self {
        Self::of(Self::OF_A_REQUEST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_no_more_than_one_budget() {
        for parts in [1, 2, 3, 1000] {
            assert!(Effort::share(parts).most * parts as u64 <= Effort::OF_A_REQUEST);
        }
        assert_eq!(Effort::share(0).most, Effort::OF_A_REQUEST);
    }

    #[test]
    fn a_budget_ends_and_stays_at_its_end() {
        let mut effort = Effort::of(10);
        assert_eq!(effort.take(10), Ok(()));
        assert_eq!(effort.take(0), Ok(()));
        assert_eq!(effort.take(1), Err(Exhausted { most: 10 }));
        assert_eq!(effort.take(usize::MAX), Err(Exhausted { most: 10 }));
        assert_eq!(effort.take(0), Err(Exhausted { most: 10 }));
    }
}
