//! A list that is nearly always empty, and takes the room of a pointer then.

use std::ops::Deref;

/// A list that is nearly always empty. It is read as a slice.
#[derive(Clone, Debug)]
pub struct Seldom<T>(Option<Box<Listed<T>>>);

#[derive(Clone, Debug)]
struct Listed<T>(Vec<T>);

impl<T> Default for Seldom<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T> Deref for Seldom<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        self.0.as_ref().map_or(&[], |listed| &listed.0)
    }
}

impl<T> Seldom<T> {
    /// Adds one at the end. Few more will come, so there is no room for them.
    pub fn push(&mut self, one: T) {
        let list = &mut self.0.get_or_insert_with(|| Box::new(Listed(Vec::new()))).0;
        list.reserve_exact(1);
        list.push(one);
    }

    /// Takes all of them out.
    pub fn clear(&mut self) {
        self.0 = None;
    }

    /// Takes out those for which `keeps` does not hold.
    pub fn retain(&mut self, keeps: impl FnMut(&T) -> bool) {
        let Some(listed) = &mut self.0 else { return };
        listed.0.retain(keeps);
        if listed.0.is_empty() {
            self.clear();
        }
    }
}

impl<T> Extend<T> for Seldom<T> {
    fn extend<I: IntoIterator<Item = T>>(&mut self, more: I) {
        more.into_iter().for_each(|one| self.push(one));
    }
}

impl<T> FromIterator<T> for Seldom<T> {
    fn from_iter<I: IntoIterator<Item = T>>(all: I) -> Self {
        let mut list = Self::default();
        list.extend(all);
        list
    }
}

impl<'a, T> IntoIterator for &'a Seldom<T> {
    type Item = &'a T;
    type IntoIter = std::slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_list_takes_the_room_of_a_pointer() {
        assert_eq!(size_of::<Seldom<String>>(), size_of::<usize>());
        let mut list: Seldom<u32> = [1, 2, 3].into_iter().collect();
        list.retain(|one| *one != 2);
        assert_eq!((&list[..], list.into_iter().sum::<u32>()), (&[1, 3][..], 4));
        list.retain(|_| false);
        assert!(list.0.is_none() && list.is_empty());
        list.push(7);
        assert_eq!(list.last(), Some(&7));
        list.clear();
        assert!(list.0.is_none());
    }
}
