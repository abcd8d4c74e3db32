//! What a policy reads of the values that change from request to request, and the constants that it compares.
//!
//! A policy that reads none of them has one answer for each version of a record, so the answer is kept. Where it is not sure that a
//! policy reads none, it counts as one that reads all.

use std::net::IpAddr;

use cedar_policy::Policy;
use serde_json::{Map, Value as Json};

use super::flaw::Flaw;
use super::instant::epoch_seconds;
use crate::domain::decision::guard_check::FreeValues;
use crate::domain::value::clock::{Seconds, Timestamp};
use crate::domain::value::network::Cidr;

/// Finds what the policies read, and their constants.
pub(super) fn free_values(policies: &[Policy]) -> Result<FreeValues, Vec<Flaw>> {
    let mut free = FreeValues::default();
    for policy in policies {
        let json = policy.to_json().map_err(|error| vec![Flaw { line: 1, message: error.to_string() }])?;
        walk(&json, &mut free);
    }
    Ok(free)
}

fn walk(json: &Json, free: &mut FreeValues) {
    match json {
        Json::Array(items) => items.iter().for_each(|item| walk(item, free)),
        Json::Object(members) => members.iter().for_each(|(operator, operands)| expression(operator, operands, free)),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {}
    }
}

fn expression(operator: &str, operands: &Json, free: &mut FreeValues) {
    match (operator, operands) {
        ("." | "has", Json::Object(access)) => attribute(access, free),
        ("Var", Json::String(name)) if name == "context" => everything(free),
        ("Value", Json::Number(number)) => number.as_i64().into_iter().for_each(|number| minute(number, free)),
        ("ip", Json::Array(arguments)) => arguments.iter().filter_map(text).for_each(|text| address(text, free)),
        ("datetime", Json::Array(arguments)) => arguments.iter().filter_map(text).for_each(|text| instant(text, free)),
        (_, operands) => walk(operands, free),
    }
}

/// An attribute: of the context it is known which, and anything else is walked through.
fn attribute(access: &Map<String, Json>, free: &mut FreeValues) {
    if access.get("left").and_then(|left| left.get("Var")).and_then(Json::as_str) != Some("context") {
        access.iter().for_each(|(operator, operands)| expression(operator, operands, free));
        return;
    }
    match access.get("attr").and_then(Json::as_str) {
        Some("source") => free.reads_source = true,
        Some("time") => free.reads_time = true,
        Some("weekday") => free.reads_weekday = true,
        Some("minute") => free.reads_minute = true,
        Some(_) => {}
        None => everything(free),
    }
}

/// The context as a whole.
fn everything(free: &mut FreeValues) {
    (free.reads_source, free.reads_time, free.reads_weekday, free.reads_minute) = (true, true, true, true);
}

/// The first and the last address of a network, and one on either side.
fn address(text: &str, free: &mut FreeValues) {
    match text.parse::<Cidr>() {
        Ok(network) => {
            let (first, last) = network.bounds();
            free.sources.extend(around(first).into_iter().chain(around(last)));
        }
        // One address, or a network with host bits, which Cedar takes.
        Err(_) => {
            let address = text.split_once('/').map_or(text, |(address, _)| address);
            free.sources.extend(address.parse::<IpAddr>().into_iter().flat_map(around));
        }
    }
}

fn instant(text: &str, free: &mut FreeValues) {
    let Some(at) = epoch_seconds(text).and_then(Timestamp::from_seconds) else { return };
    free.times.extend([at.minus(Seconds(1)), at, at.plus(Seconds(1))]);
}

fn minute(number: i64, free: &mut FreeValues) {
    let near = [number.saturating_sub(1), number, number.saturating_add(1)];
    free.minutes.extend(near.into_iter().filter_map(|near| u16::try_from(near).ok()).filter(|near| *near < 1440));
}

fn text(argument: &Json) -> Option<&str> {
    argument.get("Value")?.as_str()
}

/// An address and its neighbours.
fn around(address: IpAddr) -> Vec<IpAddr> {
    let near = |up: bool| match address {
        IpAddr::V4(v4) => {
            let bits = if up { v4.to_bits().checked_add(1) } else { v4.to_bits().checked_sub(1) };
            bits.map(|bits| IpAddr::from(bits.to_be_bytes()))
        }
        IpAddr::V6(v6) => {
            let bits = if up { v6.to_bits().checked_add(1) } else { v6.to_bits().checked_sub(1) };
            bits.map(|bits| IpAddr::from(bits.to_be_bytes()))
        }
    };
    near(false).into_iter().chain([address]).chain(near(true)).collect()
}
