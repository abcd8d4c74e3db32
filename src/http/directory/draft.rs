//! A user while what a source sent is applied to it.
//!
//! Enter through [`Draft::of`] or [`Draft::blank`], then [`Draft::members`], [`Draft::set`] and [`Draft::remove`], and [`Draft::finish`].
//! What is not ours is dropped; a value of ours that cannot be one refuses the request, of which then nothing is applied.

use serde_json::{Map, Value};

use super::attribute::{Part, Target, Wanted, Which, flag, flag_of};
use super::fault::Fault;
use crate::domain::people::member::{Email, MOST_EMAILS, PersonText, Profile, Said};

/// A user in the making.
pub struct Draft {
    user_name: Option<PersonText>,
    external_id: Option<PersonText>,
    emails: Vec<Email>,
    active: bool,
}

/// How a value comes to an attribute (RFC 7644 sections 3.5.2.1 and 3.5.2.3). They differ for `emails` alone.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum How {
    /// Beside what is there.
    Add,
    /// In place of what is there.
    Replace,
}

const ACTIVE: Fault = Fault::Value("Expected active to be true or false");
const TEXT: Fault = Fault::Value("Expected a text of 1 to 320 bytes without control, bidirectional or zero-width characters");
const EMAIL: Fault = Fault::Value("Expected emails to be a list of objects with a value");
const MANY: Fault = Fault::Value("Expected at most 20 emails");
const TWICE: Fault = Fault::Syntax("Expected each attribute once");

impl Draft {
    /// A user of whom the source said this.
    pub fn of(said: Said) -> Self {
        let Said { profile: Profile { user_name, external_id, emails }, active } = said;
        Self { user_name: Some(user_name), external_id, emails, active }
    }

    /// A user of whom the source says everything now.
    ///
    /// What it leaves out is empty, but for two things that were said `before`: an absent `active` is unchanged, as Okta means it, and so
    /// is the id by which the source finds the user. A user that comes without `active` is active.
    pub fn blank(before: Option<Said>) -> Self {
        let (external_id, active) = before.map_or((None, true), |said| (said.profile.external_id, said.active));
        Self { user_name: None, external_id, emails: Vec::new(), active }
    }

    /// The user, if it has a name.
    ///
    /// # Errors
    /// It has no `userName` (RFC 7643 section 4.1.1), or too many addresses.
    pub fn finish(self) -> Result<Said, Fault> {
        let Self { user_name, external_id, mut emails, active } = self;
        let user_name = user_name.ok_or(Fault::Value("Expected a userName"))?;
        // RFC 7643 section 2.4: at most one is primary. The last word counts.
        let last = emails.iter().rposition(|email| email.primary == Some(true));
        for (at, email) in emails.iter_mut().enumerate() {
            if email.primary == Some(true) && Some(at) != last {
                email.primary = Some(false);
            }
        }
        if emails.len() > MOST_EMAILS {
            return Err(MANY);
        }
        Ok(Said { profile: Profile { user_name, external_id, emails }, active })
    }

    /// Sets every member of an object, whose names may be paths. One attribute under two names is refused: they may differ.
    ///
    /// # Errors
    /// A value that its attribute cannot have.
    pub fn members(&mut self, how: How, object: &Map<String, Value>) -> Result<(), Fault> {
        let mut seen = Vec::new();
        self.members_beside(how, object, &mut seen)
    }

    fn members_beside(&mut self, how: How, object: &Map<String, Value>, seen: &mut Vec<Target>) -> Result<(), Fault> {
        for (name, value) in object {
            let target = Target::of(name);
            if target == Target::Unknown {
                continue;
            }
            if seen.contains(&target) {
                return Err(TWICE);
            }
            seen.push(target.clone());
            match (&target, value) {
                // Strict JSON bounds how deep this goes; a second object below the first would be the same target again.
                (Target::Core, Value::Object(below)) => self.members_beside(how, below, seen)?,
                _ => self.set(how, &target, value)?,
            }
        }
        Ok(())
    }

    /// Sets one attribute. RFC 7643 section 2.5: `null` is no value.
    ///
    /// # Errors
    /// A value that its attribute cannot have.
    pub fn set(&mut self, how: How, target: &Target, value: &Value) -> Result<(), Fault> {
        match target {
            Target::Active => match single(value) {
                // Whether a person left is never without an answer: no value changes nothing.
                Value::Null => {}
                value => self.active = flag_of(value).ok_or(ACTIVE)?,
            },
            Target::UserName => match single(value) {
                Value::Null => {}
                value => self.user_name = Some(text(value)?),
            },
            Target::ExternalId => {
                let value = single(value);
                let is_blank = value.is_null() || value.as_str().is_some_and(|text| text.trim().is_empty());
                self.external_id = if is_blank { None } else { Some(text(value)?) };
            }
            Target::Emails(Which::All, None) => {
                let mut emails = emails(value)?;
                if how == How::Replace {
                    self.emails.clear();
                }
                // RFC 7644 section 3.5.2.1: what is there already is not added again.
                emails.retain(|email| !self.emails.contains(email));
                self.emails.append(&mut emails);
            }
            Target::Emails(which, None) => self.set_emails(which, value)?,
            Target::Emails(which, Some(part)) => self.set_part(which, *part, value)?,
            Target::Core => match value {
                Value::Object(below) => self.members(how, below)?,
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {}
            },
            Target::Unknown => {}
        }
        Ok(())
    }

    /// Takes one attribute away, or of `emails` those with a value in `listed` (Entra names them so).
    ///
    /// # Errors
    /// `userName` and `active` always have a value (RFC 7644 section 3.5.2.2).
    pub fn remove(&mut self, target: &Target, listed: Option<&Value>) -> Result<(), Fault> {
        match target {
            Target::Active | Target::UserName => return Err(Fault::Mutability),
            Target::ExternalId => self.external_id = None,
            Target::Emails(Which::All, None) => match listed {
                None | Some(Value::Null) => self.emails.clear(),
                Some(listed) => {
                    let listed = emails(listed)?;
                    self.emails.retain(|email| !listed.iter().any(|gone| gone.value.is(email.value.as_str())));
                }
            },
            Target::Emails(which, None | Some(Part::Value)) => self.emails.retain(|email| !which.has(email)),
            Target::Emails(which, Some(Part::Type)) => self.each(which, |email| email.kind = None),
            Target::Emails(which, Some(Part::Primary)) => self.each(which, |email| email.primary = None),
            Target::Core | Target::Unknown => {}
        }
        Ok(())
    }

    fn each(&mut self, which: &Which, change: impl FnMut(&mut Email)) {
        self.emails.iter_mut().filter(|email| which.has(email)).for_each(change);
    }

    /// Replaces the addresses that a filter finds; one that is not there comes.
    fn set_emails(&mut self, which: &Which, value: &Value) -> Result<(), Fault> {
        let Some(mut email) = emails(value)?.into_iter().next() else {
            return self.remove(&Target::Emails(which.clone(), None), None);
        };
        which.stamp(&mut email);
        self.emails.retain(|known| !which.has(known));
        self.emails.push(email);
        Ok(())
    }

    /// Sets a part of the addresses that a path names. Entra replaces an address that is not there yet: it comes.
    fn set_part(&mut self, which: &Which, part: Part, value: &Value) -> Result<(), Fault> {
        let value = single(value);
        if value.is_null() {
            return self.remove(&Target::Emails(which.clone(), Some(part)), None);
        }
        let is_there = self.emails.iter().any(|email| which.has(email));
        match part {
            Part::Value => {
                let value = text(value)?;
                if is_there {
                    self.each(which, |email| email.value = value.clone());
                } else {
                    let mut email = Email { value, kind: None, primary: None };
                    which.stamp(&mut email);
                    self.emails.push(email);
                }
            }
            Part::Type => {
                let kind = text(value)?;
                self.each(which, |email| email.kind = Some(kind.clone()));
            }
            Part::Primary => {
                let primary = flag_of(value).ok_or(Fault::Value("Expected primary to be true or false"))?;
                self.each(which, |email| email.primary = Some(primary));
            }
        }
        Ok(())
    }
}

impl Which {
    /// Whether this is one of them.
    fn has(&self, email: &Email) -> bool {
        let holds = |(part, wanted): &(Part, Wanted)| match (part, wanted) {
            (Part::Value, Wanted::Text(text)) => email.value.is(text),
            (Part::Type, Wanted::Text(text)) => email.kind.as_ref().is_some_and(|kind| kind.is(text)),
            (Part::Primary, Wanted::Flag(wanted)) => email.primary.unwrap_or_default() == *wanted,
            (Part::Primary, Wanted::Text(text)) => flag(text) == Some(email.primary.unwrap_or_default()),
            (Part::Value | Part::Type, Wanted::Flag(_)) => false,
        };
        match self {
            Self::All => true,
            Self::Where(conditions) => conditions.iter().all(holds),
        }
    }

    /// Gives an address what the conditions ask for, so that the same path finds it.
    fn stamp(&self, email: &mut Email) {
        let Self::Where(conditions) = self else { return };
        for (part, wanted) in conditions {
            match (part, wanted) {
                (Part::Type, Wanted::Text(text)) => email.kind = PersonText::try_from(text.clone()).ok(),
                (Part::Primary, Wanted::Flag(flag)) => email.primary = Some(*flag),
                (Part::Value, _) | (Part::Type, Wanted::Flag(_)) | (Part::Primary, Wanted::Text(_)) => {}
            }
        }
    }
}

/// The one value of an attribute that has one. Entra may put it into a list, and into an object as its `value`.
fn single(value: &Value) -> &Value {
    let inner = match value {
        Value::Array(list) => match list.as_slice() {
            [only] => only,
            _ => value,
        },
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => value,
    };
    inner.as_object().and_then(|object| object.get("value")).unwrap_or(inner)
}

fn text(value: &Value) -> Result<PersonText, Fault> {
    let text = value.as_str().ok_or(TEXT)?;
    PersonText::try_from(text.to_owned()).map_err(|_| TEXT)
}

/// A list of addresses, or one of them.
fn emails(value: &Value) -> Result<Vec<Email>, Fault> {
    let one = std::slice::from_ref(value);
    let list = match value {
        Value::Null => &[],
        Value::Array(list) => list.as_slice(),
        Value::Object(_) | Value::String(_) => one,
        Value::Bool(_) | Value::Number(_) => return Err(EMAIL),
    };
    if list.len() > MOST_EMAILS {
        return Err(MANY);
    }
    list.iter().filter_map(|value| email(value).transpose()).collect()
}

/// One address, as an object or as a text; `None` if it has no value.
fn email(value: &Value) -> Result<Option<Email>, Fault> {
    let object = match value {
        Value::String(_) => return Ok(Some(Email { value: text(value)?, kind: None, primary: None })),
        Value::Object(object) => object,
        Value::Null => return Ok(None),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) => return Err(EMAIL),
    };
    let (mut address, mut kind, mut primary) = (None, None, None);
    for (name, value) in object.iter().filter(|(_, value)| !value.is_null()) {
        let is_new = match Part::of(name) {
            Some(Part::Value) => address.replace(text(value)?).is_none(),
            Some(Part::Type) => kind.replace(text(value)?).is_none(),
            Some(Part::Primary) => primary.replace(flag_of(value).ok_or(EMAIL)?).is_none(),
            None => true,
        };
        if !is_new {
            return Err(TWICE);
        }
    }
    Ok(address.map(|value| Email { value, kind, primary }))
}
